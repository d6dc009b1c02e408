#pragma once

#include <unordered_map>

#include "data/text/tokenizer.h"

namespace sparsify {

/// BERT's tokenisation: bert_words(), then each word from left to right in the longest pieces that the vocabulary has;
/// pieces inside a word are written `##piece`. A word that does not come out even, or of more than 100 characters, is one
/// [UNK]. Source: Wu et al. 2016, https://arxiv.org/abs/1609.08144; WordpieceTokenizer in google-research/bert.
class WordPiece final : public Tokenizer {
 public:
  /// `path`: a token a line, its id is the number of its line, from 0; [PAD], [UNK], [CLS] and [SEP] are among them.
  /// throws ResourceError for a file that cannot be read, is not UTF-8 or lacks one of the four
  WordPiece(const std::string& path, bool lowercase);

  std::vector<int64_t> encode(std::string_view text) const override;
  Marks marks() const override { return marks_; }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using Pieces = std::unordered_map<std::string, int64_t, Hash, std::equal_to<>>;

  void add_word(std::string_view word, std::vector<int64_t>& ids) const;

  bool lowercase_;
  Pieces starts_;          ///< whole words and their beginnings
  Pieces continuations_;   ///< without their ##
  size_t longest_ = 0;     ///< bytes of the longest piece
  int64_t unknown_ = -1;
  Marks marks_;
};

}  // namespace sparsify
