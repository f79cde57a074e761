"""One deterministic synthetic world, written in the layouts of the real data sets.

classes -> sampler / sequences -> scene -> render -> annotate -> layouts/ -> build
"""
