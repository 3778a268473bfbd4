"""Valid things made wrong: bytes, words of a text, numbers and values."""
from __future__ import annotations

__all__ = ['bytes_of', 'changed_bytes', 'changed_text', 'number', 'value', 'word']

NUMBERS = (0, 1, -1, 2, 3, 4, 5, 7, 8, 9, 16, 100, 127, 128, 255, 256, 1023, 4096, 65535, 65536, 2**31 - 1, 2**31,
           2**32 - 1, 2**32, 2**40, 2**47, 2**53, 2**59, 2**61, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -2**31,
           -2**63, 10**18, 10**30)
WORDS = ('0', '1', '2', '3', '-1', '1.5', '-0', '-0.0', '1e5', '1e400', '-1e400', '1e-400', 'nan', 'inf', '-inf', 'NaN',
         '1_0', '0x10', '1D5', '1e', '.', '-', '+', '', 'x', '1.', '.5', '9' * 18, '9' * 19, '9' * 30, '9' * 5000, '%',
         '#', '1,5', '1j', 'True', 'None', '\x00', '\xa0', '\x85', '\xff', '\x1c', '\x0b', '"', "'1'", '\u0661')
_TOKENS = [b'\x00', b'\xff' * 4, b'\xff' * 8, b'\n', b'\r', b'\r\n', b'\t', b' ', b'%', b'-', b'e', b'nan', b'1e999',
           b'\x93NUMPY', b'PK\x03\x04', b'PK\x01\x02', b'PK\x05\x06', b'\x1f\x8b', b'[', b']', b'{', b'}', b'(', b')',
           b',', b"'", b'"', b'\x80', b'\x7f\xff\xff\xff']


def number(draw):
    """A whole number that is a limit of something, or a small one."""
    return draw.choice(NUMBERS) + draw.choice((0, 0, 0, 1, -1)) if draw.random() < 0.7 else draw.randrange(-20, 300)


def word(draw):
    """Something that may stand where a number should."""
    return draw.choice(WORDS) if draw.random() < 0.7 else str(number(draw))


def value(draw):
    """Anything that JSON may hold."""
    kind = draw.randrange(9)
    if kind < 3:
        return number(draw)
    if kind == 3:
        return draw.choice((0.5, -1e308, 1e-320, float('inf'), float('nan'), -0.0))
    if kind == 4:
        return draw.choice((None, True, False))
    if kind == 5:
        return word(draw)
    if kind == 6:
        return [value(draw) for _ in range(draw.randrange(3))]
    if kind == 7:
        return {word(draw): value(draw) for _ in range(draw.randrange(2))}
    return ''


def bytes_of(draw, most):
    """Up to `most` random bytes."""
    return bytes(draw.getrandbits(8) for _ in range(draw.randrange(most + 1)))


def changed_bytes(draw, data, most=4):
    """A copy with 1 .. `most` changes: bits, bytes, pieces put in, taken out, doubled, moved, or its end cut off."""
    data = bytearray(data)
    for _ in range(draw.randint(1, most)):
        kind, at = draw.randrange(8), draw.randrange(len(data) + 1)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 1 and at < len(data):
            data[at] = draw.choice((0, 1, 0x7f, 0x80, 0xff, draw.randrange(256)))
        elif kind == 2:
            data[at:at] = draw.choice(_TOKENS)
        elif kind == 3:
            del data[at:at + draw.choice((1, 1, 2, 4, 8, 50))]
        elif kind == 4:
            piece = data[at:at + draw.randint(1, 30)]
            data[at:at] = piece * draw.choice((1, 1, 2, 30))
        elif kind == 5:
            token = draw.choice(_TOKENS)
            data[at:at + len(token)] = token
        elif kind == 6:
            data[at:at + 4] = (number(draw) % 2**32).to_bytes(4, draw.choice(('little', 'big')))
        elif draw.random() < 0.5:
            del data[at:]
    return bytes(data)


def changed_text(draw, lines):
    """A copy of lines of words (bytes a line when joined) with some words and lines changed."""
    lines = [list(words) for words in lines]
    for _ in range(draw.choice((0, 1, 1, 1, 2, 3))):
        at = draw.randrange(len(lines)) if draw.random() < 0.7 else min(draw.randrange(4), len(lines) - 1)
        kind, words = draw.randrange(9), lines[at]
        if kind < 4 and words:
            words[draw.randrange(len(words))] = word(draw)
        elif kind == 4:
            words.insert(draw.randrange(len(words) + 1), word(draw))
        elif kind == 5 and words:
            words.pop(draw.randrange(len(words)))
        elif kind == 6:
            lines.insert(at, list(draw.choice(lines)))
        elif kind == 7 and len(lines) > 1:
            lines.pop(at)
        elif kind == 8:
            lines.insert(at, draw.choice(([], ['%'], ['0', '0', '0'], ['1', '1', '1'], ['%%MatrixMarket'])))
    space = draw.choice((' ',) * 8 + ('\t', '  ', ',', '\xa0', '\x0b', '\r'))
    end = draw.choice(('\n',) * 8 + ('\r\n', '\r', '\n\n', '\x85', ' \n'))
    text = end.join(space.join(words) for words in lines) + draw.choice((end, end, end, '', end * 3))
    return text.encode(draw.choice(('latin-1', 'utf-8')), 'replace')
