#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sparsify {

/// Turns texts into the ids of a vocabulary. Thread-safe.
class Tokenizer {
 public:
  /// Ids that stand for no text; -1 where the vocabulary has none.
  struct Marks {
    int64_t start = -1;   ///< before the first text: [CLS], <s>
    int64_t end = -1;     ///< after each text: [SEP], </s>
    int64_t padding = 0;  ///< fills up rows: [PAD], <pad>
  };

  virtual ~Tokenizer() = default;

  /// The ids of a text (UTF-8) without marks. What looks like a mark in it, such as `[SEP]`, is text as well.
  virtual std::vector<int64_t> encode(std::string_view text) const = 0;
  virtual Marks marks() const = 0;
};

/// Opens a vocabulary: `*.txt` is WordPiece's (word_piece.h), `*.model` SentencePiece's (sentence_piece.h).
///
///   lowercase  of WordPiece: lower case without accents, as in BERT's uncased models
///   where      the key that named the file, for messages
///   throws     ConfigError for another extension and for a kind that this program was built without, ResourceError for
///              a file that is no vocabulary
std::unique_ptr<Tokenizer> open_tokenizer(const std::string& path, bool lowercase, const std::string& where);

}  // namespace sparsify
