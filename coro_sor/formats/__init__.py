"""Files in and out: matrices, vectors and where to write the answer."""
from coro_sor.formats.matrices import Matrix, load_matrix
from coro_sor.formats.npy import read_rows
from coro_sor.formats.output import check_folder, check_output, save_vector, write_atomically
from coro_sor.formats.vectors import load_vector

__all__ = ['Matrix', 'check_folder', 'check_output', 'load_matrix', 'load_vector', 'read_rows', 'save_vector',
           'write_atomically']
