"""Dense rows transposed in place: a product with some of their columns then streams through contiguous memory."""
import numpy as np

__all__ = ['LANE', 'Transposed']

LANE = 8        # rows
_PARTS = 8      # a multiple of LANE; the buffer that the transposition needs is as large as one of them


class Transposed:
    """Dense rows, held as two arrays of contiguous columns.

    A product of contiguous columns with a vector takes no longer than its share of the whole product; one with some
    columns of row-major rows takes 1.5 times as long, and 3 times where NumPy copies them first.

    OpenBLAS computes every row of such a product by the same operations, whatever its place and the number of rows,
    as long as that number is a multiple of 4: only those that are left over are summed in another order. So both
    arrays, and all windows of them that are used, have a multiple of 8 rows, and a result does not depend on which
    other rows an owner has. (Tried with its kernels for SkylakeX, Haswell, Sandybridge, Nehalem and Prescott.)

    Parameters
    ----------
    values : (m, n) array, C-contiguous, writable
        Rearranged; nobody else may use it until `restore` was called.

    Attributes
    ----------
    main : (n, 8 (m // 8)) array
        The first rows, transposed: a view of the memory of `values`.
    rest : (n, 8) array
        The other rows, transposed, padded with zeros; a copy. None where m is a multiple of 8.
    height : int
        Rows in `main`.
    """

    def __init__(self, values):
        m, n = values.shape
        self.height = m // LANE * LANE
        self._values = values[:self.height]
        self.rest = None
        if m > self.height:
            self.rest = np.zeros((n, LANE), dtype=values.dtype)
            self.rest[:, :m - self.height] = values[self.height:].T
        self._flat = self._values.reshape(-1)
        self.main = self._flat.reshape(n, self.height)
        if self.height:
            self._transpose()

    def restore(self):
        """Make the array row-major again, bit for bit; `main` must not be used after that."""
        if self.main is None or not self.height:
            return
        n = len(self.main)
        height, self.main = self.height // _PARTS, None
        _transpose_items(self._flat.reshape(n * _PARTS, height), n, _PARTS)
        buffer = np.empty((n, height), dtype=self._flat.dtype)
        for part in self._parts():
            np.copyto(buffer, part.reshape(n, height))
            part[:] = buffer.T

    def square(self, lo, hi, start):
        """Copy the entries of rows lo .. hi in the columns start + lo .. start + hi."""
        part = np.empty((hi - lo, hi - lo))
        first, middle = slice(start + lo, start + hi), min(max(lo, self.height), hi)
        part[:middle - lo] = self.main[first, lo:middle].T
        if middle < hi:
            part[middle - lo:] = self.rest[first, middle - self.height:hi - self.height].T
        return part

    def windows(self, lo, hi):
        """Find rows lo .. hi in the two arrays.

        Returns
        -------
        list of (array, slice, slice)
            `main` or `rest`; a range of a multiple of 8 of its rows; and which of these are the next of lo .. hi.
        """
        found, middle = [], min(max(lo, self.height), hi)
        if lo < middle:
            size = -(-(middle - lo) // LANE) * LANE
            first = min(lo, self.height - size)
            found.append((self.main, slice(first, first + size), slice(lo - first, middle - first)))
        if middle < hi:
            found.append((self.rest, slice(0, LANE), slice(middle - self.height, hi - self.height)))
        return found

    def _parts(self):
        height = self.height // _PARTS
        return [self._values[lo:lo + height] for lo in range(0, self.height, height)]

    def _transpose(self):
        """Part by part; then the columns of each part are brought beside those of the others."""
        n, buffer = len(self.main), np.empty_like(self._parts()[0])
        for part in self._parts():
            np.copyto(buffer, part)
            part.reshape(n, len(part))[:] = buffer.T
        _transpose_items(self._flat.reshape(_PARTS * n, self.height // _PARTS), _PARTS, n)


def _transpose_items(items, rows, columns):
    """Transpose a (rows, columns) array of items, stored one after the other, in place.

    Parameters
    ----------
    items : (rows * columns, k) array
        Changed in place, by following the cycles of the permutation.
    """
    done = bytearray(len(items))
    for start in range(len(items)):
        if done[start]:
            continue
        spare, place = items[start].copy(), start
        while True:
            done[place] = 1
            source = place % rows * columns + place // rows
            if source == start:
                break
            items[place] = items[source]
            place = source
        items[place] = spare
