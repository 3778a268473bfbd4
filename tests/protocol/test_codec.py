"""What crosses the wire comes out as it went in, and nothing else comes in."""
import dataclasses
import json
import pickle
import random
import struct

import numpy as np
import pytest

from coro_sor.runtime import codec
from coro_sor.runtime.compat import Coro, Location, Request


@dataclasses.dataclass(frozen=True)
class Reading:
    name: str
    values: object

    def __post_init__(self):
        if not isinstance(self.name, str):
            raise ValueError('name is no text')


@dataclasses.dataclass(frozen=True)
class Careless:
    values: object

    def __post_init__(self):
        self.values.shape[0]


codec.register([Reading, Careless])


def frame(value):
    return bytearray(b''.join(bytes(part) for part in codec.encode(value)))


def returned(value):
    return codec.decode(frame(value))


def head(*parts, blobs=b''):
    """A frame with the given JSON text as its head."""
    text = ''.join(parts).encode()
    text += b' ' * (-(len(text) + 4) % 8)
    return bytearray(struct.pack('>L', len(text)) + text + blobs)


def reference(name='~actor', ident='12', port=1000):
    coro = Coro.__new__(Coro)
    coro.__setstate__({'name': name, 'id': ident, 'location': Location('10.0.0.1', port)})
    return coro


@pytest.mark.parametrize('value', [
    None, True, False, 0, -1, 1 << 80, 0.1, -0.0, 5e-324, float('inf'), float('-inf'), '', 'ä\ud800', b'', b'\0\xff',
    (), [], {}, (1, [2, (3,)]), {'a': 1, (1, 2): [b'x'], None: {}}])
def test_a_plain_value_comes_back_equal_and_of_the_same_type(value):
    back = returned(value)
    assert back == value and type(back) is type(value) and repr(back) == repr(value)


def test_a_nan_comes_back_as_a_nan():
    assert np.isnan(returned([float('nan')])[0])


def test_numpy_scalars_become_plain_numbers():
    assert returned([np.float64(0.1), np.int32(3), np.bool_(True)]) == [0.1, 3, True]


@pytest.mark.parametrize('dtype', ['f8', 'f4', 'f2', 'i8', 'i4', 'i2', 'i1', 'u8', 'u4', 'u2', 'u1', 'b1'])
@pytest.mark.parametrize('shape', [(), (0,), (3,), (2, 3), (0, 5), (2, 1, 3)])
def test_an_array_comes_back_with_its_shape_and_dtype(dtype, shape):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    back = returned(array)
    assert back.dtype == array.dtype and back.shape == shape and np.array_equal(back, array)


@pytest.mark.parametrize('array', [np.arange(12.0).reshape(3, 4).T, np.arange(10)[::3],
                                   np.asfortranarray(np.eye(3)), np.arange(10)[::-1]])
def test_an_array_that_is_not_contiguous_comes_back_equal(array):
    assert np.array_equal(returned(array), array)


def test_several_arrays_and_bytes_in_one_message_keep_their_places():
    value = [np.arange(3, dtype='i1'), b'12345', np.arange(4.0), b'', np.arange(5, dtype='u2')]
    for sent, back in zip(value, returned(value)):
        assert np.array_equal(sent, back) if isinstance(sent, np.ndarray) else sent == back


def test_received_arrays_are_aligned_and_read_only():
    back = returned({'a': b'x', 'b': np.arange(3, dtype='i1'), 'c': np.arange(4.0)})['c']
    assert back.flags.aligned
    with pytest.raises(ValueError):
        back[0] = 1


def test_encoding_a_large_array_copies_nothing():
    array = np.zeros(1 << 16)
    parts = codec.encode(array)
    array[0] = 7
    assert np.frombuffer(parts[1])[0] == 7


def test_a_reference_comes_back_equal_hashes_alike_and_knows_its_location():
    sent = reference()
    back = returned({'to': sent})['to']
    assert back == sent and hash(back) == hash(sent) and back != reference(ident='13')
    assert (back.location.addr, back.location.port) == ('10.0.0.1', 1000)


def test_a_message_comes_back_as_its_class_with_its_fields():
    back = returned(Reading('r', (1, np.arange(2.0))))
    assert type(back) is Reading and back.name == 'r' and back.values[1].tolist() == [0.0, 1.0]


def test_an_exception_comes_back_as_its_text():
    back = returned(LookupError('lost'))
    assert type(back) is Exception and str(back) == 'lost'


@pytest.mark.parametrize('name, fields', [
    ('signature', {'version': '4'}),
    ('peer', {'signature': 's', 'name': 'n', 'from': Location('10.0.0.1', 5), 'version': '4'}),
    ('run_rci', {'name': 'n', 'args': ((1, 2),), 'kwargs': {}}),
    ('send', {'message': [1], 'name': '~a', 'coro': '5'}),
    ('deliver', {'message': Reading('r', 1), 'name': '~a', 'coro': '5'})])
def test_a_request_comes_back_with_its_fields(name, fields):
    sent = Request(name, fields, dst=Location('10.0.0.2', 6), auth='abc')
    back = codec.decode(codec.RequestFrame(frame(sent)))
    assert (back.name, back.kwargs, back.dst, back.auth) == (name, fields, sent.dst, 'abc')


@pytest.mark.parametrize('value', [
    {1, 2}, object(), 1j, np.array([1j]), np.array(['a']), np.array([None]), np.zeros(2, 'M8[s]'), np.zeros(2, '>f8'),
    np.longdouble(1), np.zeros(2, 'g'), np.zeros(2, [('a', 'f8')]), range(3), Ellipsis, int, lambda: 1, bytearray(3),
    dataclasses.make_dataclass('Stranger', ['a'])(1)])
def test_what_is_not_known_is_not_sent(value):
    with pytest.raises(TypeError):
        codec.encode([value])


def test_a_request_with_other_fields_is_not_sent():
    with pytest.raises(TypeError, match='signature has other fields'):
        codec.encode(Request('signature', {}))


def test_what_would_take_much_memory_beside_arrays_is_not_sent():
    assert returned('x' * (1 << 22)) == 'x' * (1 << 22)
    with pytest.raises(ValueError, match='beside its arrays'):
        codec.encode('x' * codec.HEAD_LIMIT)


def test_two_message_classes_of_one_name_are_refused():
    with pytest.raises(ValueError, match='Reading'):
        codec.register([dataclasses.make_dataclass('Reading', ['other'])])
    with pytest.raises(TypeError, match='dataclass'):
        codec.register({'int': int})


NOT_MESSAGES = {
    'empty': b'', 'short': b'\0\0', 'head longer than frame': b'\0\0\0\x09"x"', 'no JSON': head('[1'),
    'not UTF-8': struct.pack('>L', 4) + b'\xff\xfe"x', 'pickle': pickle.dumps([1]), 'object': head('{"a":1}'),
    'no tag': head('[]'), 'number as tag': head('[1]'), 'list as tag': head('[["l"]]'), 'unknown tag': head('["z"]'),
    'deep': head('["l",' * 100000), 'deep and closed': head('["l",' * 100000, '1', ']' * 100000),
    'odd dict': head('["d",1]'), 'unhashable key': head('["d",["l"],1]'),
    'bytes missing': head('["b",8]', blobs=b'1234567'), 'bytes < 0': head('["b",-1]'), 'bytes text': head('["b","1"]'),
    'left over': head('1', blobs=bytes(8)), 'bool as size': head('["b",true]', blobs=bytes(8)),
    'array missing': head('["a","<f8",2]', blobs=bytes(8)), 'object array': head('["a","|O",1]', blobs=bytes(8)),
    'text as shape': head('["a","<f8","1"]', blobs=bytes(8)), 'shape < 0': head('["a","<f8",-1]'),
    'shapes < 0': head('["a","<f8",-1,-1]', blobs=bytes(8)), 'huge': head('["a","<f8",4611686018427387904]'),
    'huge and empty': head('["a","<f8",0,4611686018427387904,4611686018427387904]'),
    'bool of 2': head('["a","|b1",1]', blobs=b'\2' + bytes(7)),
    'endless dimensions': head('["a","|u1"', ',%d' % 10**18 * 200000, ']'),
    'a validator that trips': head('["m","Careless",1]'), 'head too long': head('"', 'x' * codec.HEAD_LIMIT, '"'),
    'too many dimensions': head('["a","|u1"', ',0' * 99, ']'),
    'unknown message': head('["m","Popen","ls"]'), 'message without name': head('["m"]'),
    'message with too few fields': head('["m","Reading","r"]'), 'message refused': head('["m","Reading",1,2]'),
    'port': head('["L","10.0.0.1",70000]'), 'host name': head('["L","example.com",1]'),
    'system coroutine': head('["C","!tcp","1","10.0.0.1",1]'), 'no id': head('["C","~a","x","10.0.0.1",1]'),
    'superscript id': head('["C","~a","\u00b2","10.0.0.1",1]'), 'exception': head('["E",1]'),
    'request file': head('["N","send_file",null,null,1]'), 'request short': head('["N"]'),
    'request auth': head('["N","signature",1,null,"4"]'), 'request dst': head('["N","signature",null,1,"4"]'),
    'request fields': head('["N","signature",null,null]'), 'request id': head('["N","deliver",null,null,1,"~a","x"]'),
    'request number': head('["N","deliver",null,null,1,"~a",5]'),
    'request name': head('["N","deliver",null,null,1,"!a","5"]'),
    'request args': head('["N","run_rci",null,null,"n",1,["d"]]'),
    'request kwargs': head('["N","run_rci",null,null,"n",["t"],["d","a",1]]'),
    'request from': head('["N","peer",null,null,"s","n","here","4"]')}


@pytest.mark.parametrize('data', NOT_MESSAGES.values(), ids=NOT_MESSAGES)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(codec.CodecError):
        codec.decode(data)


def test_an_accepted_connection_brings_requests_only():
    with pytest.raises(codec.CodecError, match='request'):
        codec.decode(codec.RequestFrame(frame({'name': 'deliver'})))


def test_damaged_frames_are_refused_or_harmless():
    good = frame(Request('deliver', {'message': Reading('r', [np.arange(9.0), b'abc', reference(), 1.5]),
                                     'name': '~a', 'coro': '5'}, dst=Location('10.0.0.2', 6), auth='abc'))
    draw = random.Random(1)
    refused = 0
    for _ in range(3000):
        bad = bytearray(good)
        for _ in range(draw.randint(1, 4)):
            bad[draw.randrange(len(bad))] = draw.randrange(256)
        bad = bad[:draw.choice((len(bad), draw.randrange(len(bad))))]
        try:
            codec.decode(bad)
        except codec.CodecError:
            refused += 1
    assert refused > 1000


def test_the_head_is_plain_json():
    data = frame(Reading('r', 1))
    assert json.loads(data[4:].decode()) == ['m', 'Reading', 'r', 1]
