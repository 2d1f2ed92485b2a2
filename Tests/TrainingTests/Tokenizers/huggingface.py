"""Writes huggingface.json: small tokenizers trained by Hugging Face's `tokenizers`, and what they make of texts.

    pip install tokenizers && python huggingface.py huggingface.json
"""
import json, random, sys

from tokenizers import Tokenizer, models, pre_tokenizers, decoders, trainers, AddedToken, processors
text = open(__file__).read() * 3
text += " Der Mühlbach treibt das Rad. Ελληνικά και русский текст. 漢字かな交じり文。 naïve café résumé — “quotes” … 1234 56 789 don't we'll I'm they've you'd it's 🙂🙃 " * 5
def make(vocab, prefix, special, regex=True, min_frequency=2, alphabet=True, **model):
    t = Tokenizer(models.BPE(**model))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=True)
    tr = trainers.BpeTrainer(vocab_size=vocab, special_tokens=special, show_progress=False, min_frequency=min_frequency,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if alphabet else [])
    t.train_from_iterator([text], tr)
    return t
random.seed(1)
pool = list("aeiou stnrl'\"  \t\n\r .,;!?-_0123456789éüßñçàøåÆŁőΑβγδжыяשלוםمرحبا漢字かな한글🙂👩‍👩‍👧🇩🇪\u00a0\u2003\u0301\u200b\u3000½²Ⅷ٣\x00\x1f\x7f\u0085\u2028\ufffd\U0001d4d0") + ["the ","don't","'ll","'re"," 's","<|endoftext|>","<mask>","millrace"," wheel ","   ","\n\n"]
texts = ["", " ", "  ", "\n", "a", " a", "  a", "a ", "a  ", "\n\n a\n", "'s's 't're've'm'll'd'S'T", "don't 'tis they'll'", "x = 3.14159e-10;\n\n\tif (y) { z++ }",
 "Der Mühlbach — naïve café", "e\u0301a\u0301", "漢字かな交じり文。テスト", "🙂🙃👩‍👩‍👧", "<|endoftext|>", "a<|endoftext|>b <|endoftext|> c", "a <mask> b  <mask>c<mask>", "millrace millraces xmillrace millrace.",
 "<|endoftext", "<|endoftext|><|endoftext|>", "\u00a0\u00a0x\u2003y", "a"*300, " "*70+"x", "1234567 ½²Ⅷ٣", "\x00\x01\x7f", "the the the thethe", "word\u0301 \u0301 x"]
texts += ["".join(random.choice(pool) for _ in range(random.randrange(1,60))) for _ in range(60)]
out = []
def add(name, t):
    ids = [t.encode(x, add_special_tokens=False).ids for x in texts]
    decoded = [t.decode(i, skip_special_tokens=False) for i in ids]
    # What is decoded stands there only where it is another text.
    decoded = [d if d != x else None for d, x in zip(decoded, texts)]
    out.append({"name": name, "tokenizer": json.loads(t.to_str()), "ids": ids, "decoded": decoded})
t=make(600, False, ["<|endoftext|>"]); t.add_special_tokens([AddedToken("<mask>", lstrip=True, rstrip=True, special=True)]); t.add_tokens([AddedToken("millrace", single_word=True, normalized=True)])
add("plain", t)
t=make(400, True, ["<|endoftext|>"]); t.add_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
add("prefix-space", t)
t=make(350, False, ["<unk>","<|endoftext|>"], alphabet=False, unk_token="<unk>", fuse_unk=True)
add("unknown-fused", t)
t=make(350, False, ["<unk>"], alphabet=False, unk_token="<unk>", fuse_unk=False)
add("unknown", t)
t=make(330, False, [], regex=False)
add("no-words", t)
t=make(500, False, [], ignore_merges=True)
add("whole-words", t)
json.dump({"texts": texts, "tokenizers": out}, open(sys.argv[1], "w"), ensure_ascii=True, separators=(",", ":"))
