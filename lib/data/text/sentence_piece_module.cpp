// The module `sentencepiece`: all that knows the library's headers.
#include <sentencepiece_processor.h>

#include "base/module.h"
#include "data/text/sentence_piece.h"

namespace sparsify {
namespace {

class SentencePiece final : public Tokenizer {
 public:
  explicit SentencePiece(const std::string& path) : status_(processor_.Load(path)) {}

  const sentencepiece::util::Status& status() const { return status_; }

  std::vector<int64_t> encode(std::string_view text) const override {
    std::vector<int> ids;
    processor_.Encode({text.data(), text.size()}, &ids).IgnoreError();
    return {ids.begin(), ids.end()};
  }

  Marks marks() const override {
    const int padding = id_of("[PAD]", processor_.pad_id());
    return {.start = id_of("[CLS]", processor_.bos_id()),
            .end = id_of("[SEP]", processor_.eos_id()),
            .padding = padding >= 0 ? padding : id_of("<pad>", 0)};
  }

 private:
  int64_t id_of(const char* piece, int otherwise) const {
    const int id = processor_.PieceToId(piece);
    return id == processor_.unk_id() ? otherwise : id;
  }

  sentencepiece::SentencePieceProcessor processor_;
  sentencepiece::util::Status status_;
};

Tokenizer* open(const std::string& path, std::string& problem) {
  auto tokenizer = std::make_unique<SentencePiece>(path);
  if (tokenizer->status().ok()) return tokenizer.release();
  problem = tokenizer->status().ToString();
  return nullptr;
}

const bool is_registered = register_sentence_piece(open) && register_module("sentencepiece");

}  // namespace
}  // namespace sparsify
