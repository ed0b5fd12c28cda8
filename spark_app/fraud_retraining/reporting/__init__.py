"""What a person reads after a retrain: one page, its short form, the model card, and the data of every figure.

``content`` says what a report holds; ``measures``, ``inputs`` and ``records`` find it out, of scored rows, of a sample
of rows, of small files in the lake, and ``gather`` puts it together; ``figures`` draws, ``pages`` writes. Nothing here
holds rows in proportion to the lake: the scored test week is bounded by the retrain, samples by ``inputs.ROWS``.
"""
