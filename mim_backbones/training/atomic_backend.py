"""mmengine's local files, written beside their place and moved there.

For `CheckpointHook(backend_args=dict(backend='atomic_local'))`: a run killed while saving leaves
the previous checkpoint whole.
"""

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from mim_backbones.console.atomic_file import write_bytes_atomically


@register_backend('atomic_local', force=True)
class AtomicLocalBackend(LocalBackend):
    """A file is there whole or as it was before."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        write_bytes_atomically(Path(filepath), obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        self.put(obj.encode(encoding), filepath)
