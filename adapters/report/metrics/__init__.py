"""How near a draft's words are to a reference's: BLEU, ROUGE-L and CIDEr, one file each.

Read ``words`` (what a word is), then ``bleu``, ``rouge``, ``cider``; ``corpus`` puts them together with
intervals. One reference a film. None of them knows whether a draft is right: that is ``agreement``'s question.
METEOR is left out: its published form needs WordNet, which no library ships without a download.
"""
