#!/usr/bin/env python3
"""tokenizers_reference.py SST2 FOLDER [--cased]: what Hugging Face's `tokenizers` makes of SST-2 and of strings that are hard to split.

Trains a WordPiece vocabulary of 4,000 tokens on SST-2's training texts into FOLDER/vocab.txt and writes FOLDER/tokens.json, which
`SPARSIFY_TOKENS=FOLDER/tokens.json build/bin/test_data "[.reference]"` compares with ours id by id. Needs `pip install tokenizers`.
"""
import json
import os
import sys

from tokenizers import BertWordPieceTokenizer

HARD = ["", " ", "\t \n", "Ärger naïve ÇA coöperate", "e\u0301 o\u0308\u0323", "İSTANBUL ıI", "ΣΑΣ ὈΔΥΣΣΕΎΣ", "Straße ﬁne Ⅷ ①", "日本語のテキスト、中文。ab日本c", "한국어 각각",
        "👍🏽 ok♥ 🧿🫠 👩‍👩‍👧", "a\u00a0b\u3000c\u2028d\u2029e\u1680f\u202fg", "a\x00\x01\x7f\u200b\u00ad\ufffd\ufeffb\u0085c\x0b\x0cd", "a\ue000b \U000f0000 \u0378",
        "“x”—y…‘z’ «q» ¿a? ¡b!", "a^b`c~d|e=f+g<h>i$j€k£l%m", "don't can't it 's re-do", "a" * 100, "a" * 101, "ab" * 150, "é" * 300, "!" * 300, "..." * 50, "##ing [SEP] [MASK]",
        "हिन्दी ภาษาไทย العَرَبِيَّة עִבְרִית", "\u302ea \u0301 b", "x\u0300\u0301\u0302y", "\U0002b820\U0002ceaf\uf900\U0002f800", "ẞ ǅ Ω Å K", "１２ＡＢ，。",
        "ᾳ ΐ ŉ ǰ", "𝒜𝓫𝔠 𐐀", "१२३ ٣٤", "\u1e9b\u0323 \u0958 \u2126", "0.5,1,000-€ #tag @user http://a.b/c?d=e&f", "tab\tin", "\r\nline\rend"]


def main():
    folder, out = sys.argv[1:3]
    lowercase = "--cased" not in sys.argv
    texts = {split: [line.split("\t")[0] for line in open(os.path.join(folder, split + ".tsv"), encoding="utf-8").read().split("\n")[1:] if line]
             for split in ("train", "dev")}
    trained = BertWordPieceTokenizer(lowercase=lowercase)
    trained.train_from_iterator(texts["train"] + HARD * 50, vocab_size=4000, limit_alphabet=1000)
    os.makedirs(out, exist_ok=True)
    trained.save_model(out)
    vocabulary = os.path.join(out, "vocab.txt")
    tokenizer = BertWordPieceTokenizer(vocabulary, lowercase=lowercase)
    tokenizer._tokenizer.encode_special_tokens = True  # [SEP] in a text is text
    chosen = texts["dev"] + texts["train"][::33] + HARD
    ids = [encoding.ids for encoding in tokenizer.encode_batch(chosen, add_special_tokens=False)]
    with open(os.path.join(out, "tokens.json"), "w") as file:
        json.dump({"vocabulary": vocabulary, "lowercase": lowercase, "texts": chosen, "ids": ids}, file)
    print(f"{len(chosen)} texts, {sum(map(len, ids))} ids, {sum(map(lambda row: row.count(1), ids))} of them [UNK]")


main()
