#include "data/text/word_piece.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"
#include "data/files.h"
#include "data/text/bert_words.h"

namespace sparsify {
namespace {

constexpr int64_t kLongestWord = 100;  // characters, as in BERT

}  // namespace

WordPiece::WordPiece(const std::string& path, bool lowercase) : lowercase_(lowercase) {
  const auto fail = [&](std::string what) {
    throw ResourceError{{.what = std::move(what),
                         .where = path,
                         .fix = "use the vocab.txt that belongs to the model: a token a line, [PAD], [UNK], [CLS] and [SEP] among them"}};
  };
  const std::vector<std::byte> bytes = read_file(path);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.empty()) fail("the vocabulary is empty");
  if (!is_utf8(text)) fail("the vocabulary is not a text in UTF-8");
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  for (int64_t id = 0; !text.empty(); ++id) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view token = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (token.ends_with('\r')) token.remove_suffix(1);
    const bool continues = token.size() > 2 && token.starts_with("##");
    if (continues) token.remove_prefix(2);
    (continues ? continuations_ : starts_).insert_or_assign(std::string(token), id);
    longest_ = std::max(longest_, token.size());
  }
  const auto mark = [&](const char* token) {
    const auto found = starts_.find(std::string_view(token));
    if (found == starts_.end()) fail(fmt::format("the vocabulary has no {}", token));
    return found->second;
  };
  unknown_ = mark("[UNK]");
  marks_ = {.start = mark("[CLS]"), .end = mark("[SEP]"), .padding = mark("[PAD]")};
}

std::vector<int64_t> WordPiece::encode(std::string_view text) const {
  const std::string words = bert_words(text, lowercase_);
  std::vector<int64_t> ids;
  ids.reserve(words.size() / 3);
  for (std::string_view rest = words; !rest.empty();) {
    const size_t end = std::min(rest.find(' '), rest.size());
    add_word(rest.substr(0, end), ids);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return ids;
}

void WordPiece::add_word(std::string_view word, std::vector<int64_t>& ids) const {
  const size_t first = ids.size();
  const bool is_too_long = count_characters(word) > kLongestWord;
  for (size_t begin = 0; begin < word.size() && !is_too_long;) {
    const Pieces& pieces = begin == 0 ? starts_ : continuations_;
    size_t size = std::min(word.size() - begin, longest_);
    auto found = pieces.end();
    for (; size > 0 && found == pieces.end(); --size) found = pieces.find(word.substr(begin, size));
    if (found == pieces.end()) break;
    ids.push_back(found->second);
    begin += found->first.size();
    if (begin == word.size()) return;
  }
  ids.resize(first);
  ids.push_back(unknown_);
}

}  // namespace sparsify
