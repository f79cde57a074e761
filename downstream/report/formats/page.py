"""The report as one HTML page that needs nothing beside it: no script, no link, no font."""

import base64

from jinja2 import Environment, PackageLoader, StrictUndefined

from downstream.report.content import Content
from downstream.report.formats import wording


def render_page(content: Content) -> str:
    environment = Environment(
        loader=PackageLoader('downstream', 'report/formats'),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters['base64'] = lambda content: base64.b64encode(content).decode()
    template = environment.get_template('report.html.j2')
    return template.render(content=content, say=wording)
