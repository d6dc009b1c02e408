#pragma once

#include "data/text/tokenizer.h"

namespace sparsify {

/// A model of SentencePiece (BPE, unigram, words or characters; https://github.com/google/sentencepiece), with its own
/// normalisation of the text. Marks: the pieces [CLS], [SEP] and [PAD] where it has them, else its beginning, end and
/// padding of a sentence.
///
///   where   the key that named the file, for messages
///   throws  ConfigError where the program was built without the library, ResourceError for a file that is no such model
std::unique_ptr<Tokenizer> open_sentence_piece(const std::string& path, const std::string& where);

/// `SentencePiece 0.1.97`, or "" where the program was built without it.
std::string sentence_piece_library();

/// Called by the module `sentencepiece` while it loads. `open` returns nullptr and says why for a file that is no model.
using OpenSentencePiece = Tokenizer* (*)(const std::string& path, std::string& problem);
bool register_sentence_piece(OpenSentencePiece open);

}  // namespace sparsify
