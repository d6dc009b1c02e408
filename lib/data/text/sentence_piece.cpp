#include "data/text/sentence_piece.h"

#include <fmt/core.h>

#include <filesystem>

#include "base/error.h"
#include "base/module.h"

namespace sparsify {
namespace {

OpenSentencePiece& open_function() {
  static OpenSentencePiece open = nullptr;
  return open;
}

}  // namespace

std::string sentence_piece_library() { return SPARSIFY_SENTENCEPIECE_LIBRARY; }

bool register_sentence_piece(OpenSentencePiece open) {
  open_function() = open;
  return true;
}

std::unique_ptr<Tokenizer> open_sentence_piece(const std::string& path, const std::string& where) {
  if (sentence_piece_library().empty()) {
    throw ConfigError{{.what = fmt::format("\"{}\" is SentencePiece's, and this sparsify was built without that library", path),
                       .where = where,
                       .fix = "install it (Debian: libsentencepiece-dev) and build again, or use a model with a WordPiece vocabulary"}};
  }
  const auto fail = [&](std::string what) {
    throw ResourceError{{.what = std::move(what), .where = path, .fix = "name a .model file that SentencePiece has written"}};
  };
  if (std::error_code ignored; !std::filesystem::is_regular_file(path, ignored)) fail("there is no such file");
  load_module_apart("sentencepiece");
  std::string problem;
  std::unique_ptr<Tokenizer> tokenizer(open_function()(path, problem));
  if (!tokenizer) fail(fmt::format("SentencePiece cannot read the file: {}", problem));
  return tokenizer;
}

}  // namespace sparsify
