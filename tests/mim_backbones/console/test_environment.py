import json

from click.testing import CliRunner

from mim_backbones.commands.doctor import doctor
from mim_backbones.console import environment
from mim_backbones.console.environment import conflicts


def test_two_owners_of_one_name_are_a_conflict() -> None:
    owned = {
        'mmcv': ['mmcv 2.1.0', 'onedl-mmcv 2.3.6'],
        'cv2': ['opencv-python 4.12.0.88', 'opencv-python-headless 4.12.0.88'],
        'timm': ['timm 1.0.0'],
        'mmseg': [],
    }
    lines = conflicts(owned)
    assert len(lines) == 2
    assert 'mmcv 2.1.0 and onedl-mmcv 2.3.6' in lines[0]
    assert lines[1].startswith('mmseg is not installed')


def test_doctor_on_this_machine(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(environment, 'plugins_found', lambda: ({}, []))  # others' are theirs
    result = CliRunner().invoke(doctor, ['--json'], env={'MIMBENCH_DATA': ''})
    findings = json.loads(result.output)
    assert result.exit_code == 0, findings['problems']
    assert findings['owners']['mmengine']
    assert set(findings['ops']) == {'nms', 'soft_nms', 'roi_align', 'sigmoid_focal_loss'}
    wrong = CliRunner().invoke(doctor, ['--data', str(tmp_path / 'none')])
    assert wrong.exit_code == 1
    assert 'does not exist' in wrong.output
