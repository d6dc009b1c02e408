#pragma once

#include <string>
#include <string_view>

namespace sparsify {

/// BERT's basic tokenisation (BasicTokenizer in https://github.com/google-research/bert, tokenization.py), as the library
/// `tokenizers` does it: control characters are dropped, white space separates words, so do both sides of each punctuation
/// character (all of ASCII's symbols among them) and of each Chinese character.
///
///   text       UTF-8; bytes that are not are dropped
///   lowercase  lower case, and accents go: canonical decomposition without its nonspacing marks. Each character on its
///              own, so that a Greek sigma at the end of a word becomes the inner one
///   returns    the words, with one space between two
std::string bert_words(std::string_view text, bool lowercase);

/// Whether every byte belongs to a character.
bool is_utf8(std::string_view text);
/// Characters (code points) of valid UTF-8.
int64_t count_characters(std::string_view text);

/// `ICU 72.1`: whose tables say what a character is.
std::string unicode_library();

}  // namespace sparsify
