"""A rehearsal's table for people, and the same as plain data."""

from typing import Any

from rich.table import Table

from downstream.evaluation.rehearsal.matrix import Matrix, Rehearsed

COLUMNS = ('checkpoint', 'protocol', 'jobs', '')
FIGURES = ('host GiB', 'GPU GiB', 's/step', 's/image', 'hours', 'disk GiB')


def rehearsal_table(matrix: Matrix) -> Table:
    """One row per kind of job."""
    table = Table(box=None, header_style='bold')
    for column in COLUMNS:
        table.add_column(column)
    for column in FIGURES:
        table.add_column(column, justify='right')
    for row in matrix.rows:
        found = row.measures
        figures = [''] * len(FIGURES)
        if row.failure is None:
            figures = [
                f'{found.host_bytes / 2**30:.1f}',
                '' if found.gpu_bytes is None else f'{found.gpu_bytes / 2**30:.1f}',
                f'{row.step_seconds:.2f}',
                f'{found.image_seconds:.2f}',
                f'{row.seconds / 3600:.2f}',
                f'{row.disk_bytes / 2**30:.2f}',
            ]
        state = 'failed' if row.failure else 'ok'
        job = row.job
        table.add_row(job.name, f'{job.task} {job.protocol.name}', str(row.count), state, *figures)
    return table


def lines(matrix: Matrix) -> list[str]:
    """What the table leaves to be said."""
    said = [f'{title}: {line}' for title, line in matrix.failures.items()]
    said += dict.fromkeys(how_measured(row) for row in matrix.rows if row.failure is None)
    if matrix.there:
        said.append(f'{matrix.there} results are there already and were not rehearsed')
    if any(row.failure is None for row in matrix.rows):
        what = 'the whole matrix' if not matrix.failures else 'what does not fail'
        said.append(
            f'{what}: {matrix.seconds / 3600:.2f} h with {matrix.parallel} at a time, '
            f'{matrix.disk_bytes / 2**30:.2f} GiB for checkpoints, '
            f'{matrix.free_bytes / 2**30:.1f} GiB free'
        )
    return said


def how_measured(row: Rehearsed) -> str:
    text = f'{row.job.protocol.name}: {row.step_images} images a step'
    if row.measures.step_images < row.step_images:
        text += f', timed on {row.measures.step_images} of them'
    text += f'; memory is that of {row.at_once} at a time'
    if row.at_once < row.real_at_once:
        text += f' (the job takes {row.real_at_once}, which this machine is not asked for)'
    return text


def as_record(matrix: Matrix) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        'jobs': [_row(row) for row in matrix.rows],
        'failures': matrix.failures,
        'there': matrix.there,
        'parallel': matrix.parallel,
        'hours': matrix.seconds / 3600,
        'disk_bytes': matrix.disk_bytes,
        'free_bytes': matrix.free_bytes,
    }


def _row(row: Rehearsed) -> dict[str, Any]:
    job, found = row.job, row.measures
    about = {
        'job': job.title,
        'name': job.name,
        'task': job.task,
        'protocol': job.protocol.name,
        'count': row.count,
        'ok': row.failure is None,
    }
    if row.failure is not None:
        return {**about, 'failure': row.failure}
    return {
        **about,
        'host_bytes': found.host_bytes,
        'gpu_bytes': found.gpu_bytes,
        'images_at_once': row.at_once,
        'job_images_at_once': row.real_at_once,
        'images_timed': found.step_images,
        'images_per_step': row.step_images,
        'seconds_per_step': row.step_seconds,
        'seconds_per_image': found.image_seconds,
        'steps': found.steps,
        'hours': row.seconds / 3600,
        'checkpoint_bytes': found.checkpoint_bytes,
        'disk_bytes': row.disk_bytes,
    }
