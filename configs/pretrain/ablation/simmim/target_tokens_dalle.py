"""SimMIM ablation, target: the tokens of DALL-E's dVAE, one per 16 px.

Needs the encoder's file, which is not downloaded.
"""
_base_ = '../../simmim.py'

model = dict(
    target=dict(
        type='TokenTarget', stride=16,
        tokenizer=dict(type='DalleTokenizer', checkpoint='data/dalle/encoder.pkl', input_size=96)))
