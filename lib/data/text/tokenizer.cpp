#include "data/text/tokenizer.h"

#include <fmt/core.h>

#include <filesystem>

#include "base/error.h"
#include "data/text/sentence_piece.h"
#include "data/text/word_piece.h"

namespace sparsify {

std::unique_ptr<Tokenizer> open_tokenizer(const std::string& path, bool lowercase, const std::string& where) {
  const std::string extension = std::filesystem::path(path).extension().string();
  if (extension == ".txt") return std::make_unique<WordPiece>(path, lowercase);
  if (extension == ".model") return open_sentence_piece(path, where);
  throw ConfigError{{.what = fmt::format("the vocabulary \"{}\" ends neither in .txt nor in .model", path),
                     .where = where,
                     .fix = "name a WordPiece vocabulary (vocab.txt, one token a line) or a SentencePiece model"}};
}

}  // namespace sparsify
