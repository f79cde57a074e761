"""One deterministic synthetic world, written in the layouts of the real data sets.

classes.py -> sampler.py / motion.py -> scene.py -> render.py -> annotate.py -> layouts/ -> build.py
"""
