from mmengine.fileio import get_file_backend

from mim_backbones.training import atomic_backend  # noqa: F401  registers it


def test_checkpoint_hooks_reach_it_by_name(tmp_path) -> None:
    backend = get_file_backend(backend_args={'backend': 'atomic_local'})
    backend.put(b'12', tmp_path / 'a')
    backend.put_text('a', str(tmp_path / 'b'))
    assert (tmp_path / 'a').read_bytes() == b'12'
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a', 'b']
