"""The layouts of the real data sets. Each module writes one part of a world:

items(size)                     what there is to write, one picture or sequence each
write(root, item, size, seed)   write one, return what `finish` needs to know about it
finish(root, size, records)     write the lists and annotations, return the part of data.yaml
"""
