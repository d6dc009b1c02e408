#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/text/bert_words.h"
#include "data/text/sentence_piece.h"
#include "data/text/token_row.h"
#include "data/text/tokenizer.h"
#include "data/text/word_piece.h"
#include "fixtures.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

using Ids = std::vector<int64_t>;

/// Ids 0 to 3 are marks, then `tokens` from 4 on.
std::string vocabulary(const TemporaryFolder& folder, const std::vector<std::string>& tokens, const std::string& marks = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n") {
  std::string text = marks;
  for (const std::string& token : tokens) text += token + "\n";
  folder.write("vocab.txt", text);
  return folder.path("vocab.txt");
}

std::string length_delimited(int field, const std::string& bytes) {
  return std::string{static_cast<char>(field << 3 | 2), static_cast<char>(bytes.size())} + bytes;
}

/// A piece of a SentencePiece model: kinds 1 normal, 2 unknown, 3 control.
std::string piece(const std::string& text, float score, char kind) {
  const auto* bits = reinterpret_cast<const char*>(&score);
  return length_delimited(1, length_delimited(1, text) + "\x15" + std::string(bits, 4) + std::string{3 << 3, kind});
}

/// The unigram model of five texts: the best split is the one with the largest sum of scores.
std::string unigram_model() {
  const std::string trainer = {3 << 3, 1};  // model_type: unigram
  return piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) + piece("\xE2\x96\x81good", -1, 1) + piece("\xE2\x96\x81", -3, 1) +
         piece("go", -2, 1) + piece("od", -2, 1) + piece("s", -2, 1) + length_delimited(2, trainer) + length_delimited(3, length_delimited(1, "identity"));
}

}  // namespace

TEST_CASE("words are split as BERT splits them", "[data][text]") {
  CHECK(bert_words("Hello, World!", true) == "hello , world !");
  CHECK(bert_words("Hello, World!", false) == "Hello , World !");
  CHECK(bert_words(" \t it 's   $5\r\n", true) == "it ' s $ 5");
  CHECK(bert_words("a^b`c~", true) == "a ^ b ` c ~");
  CHECK(bert_words("...", true) == ". . .");
  CHECK(bert_words("\"quoted\"", true) == "\" quoted \"");
  CHECK(bert_words("", true).empty());
  CHECK(bert_words(" \n", true).empty());
  CHECK(bert_words("“x”—y", true) == "“ x ” — y");
  CHECK(bert_words("👍🏽 ok♥", true) == "👍🏽 ok♥");
}

TEST_CASE("accents and case go together, each character on its own", "[data][text]") {
  CHECK(bert_words("Ärger naïve ÇA", true) == "arger naive ca");
  CHECK(bert_words("Ärger naïve ÇA", false) == "Ärger naïve ÇA");
  CHECK(bert_words("e\u0301", true) == "e");
  CHECK(bert_words("e\u0301", false) == "e\u0301");
  CHECK(bert_words("İSTANBUL", true) == "istanbul");
  CHECK(bert_words("ΣΑΣ ПРИВЕТ", true) == "σασ привет");
  CHECK(bert_words("Straße ﬁ", true) == "straße ﬁ");
  CHECK(bert_words("각", true) == "\u1100\u1161\u11A8");
  CHECK(bert_words("각", false) == "각");
}

TEST_CASE("Chinese characters stand alone, Japanese letters do not", "[data][text]") {
  CHECK(bert_words("ab日本c", true) == "ab 日 本 c");
  CHECK(bert_words("テスト", false) == "テスト");
  CHECK(bert_words("\U0002B820x", true) == "\U0002B820 x");
}

TEST_CASE("control characters vanish and every space separates", "[data][text]") {
  using namespace std::string_literals;
  CHECK(bert_words("a\0\x01\x7F" "b\u200B\u00AD\uFFFD\uFEFFc"s, true) == "abc");
  CHECK(bert_words("a\u00A0b\u3000c\u2028d", true) == "a b c d");
  CHECK(bert_words("a\u0085\vb", true) == "ab");
  CHECK(bert_words("a\xFF\xC3", true) == "a");
}

TEST_CASE("words come in the longest pieces from the left", "[data][text]") {
  const TemporaryFolder folder;
  // The example of google-research/bert, tokenization_test.py.
  const WordPiece tokenizer(vocabulary(folder, {"want", "##want", "##ed", "wa", "un", "runn", "##ing", ",", "a", "##a", "##n"}), true);
  CHECK(tokenizer.encode("unwanted running") == Ids{8, 5, 6, 9, 10});
  CHECK(tokenizer.encode("UNwant\u00E9d,running") == Ids{8, 5, 6, 11, 9, 10});
  CHECK(tokenizer.encode("unwantedX running") == Ids{1, 9, 10});
  CHECK(tokenizer.encode("wan ing") == Ids{7, 14, 1});
  CHECK(tokenizer.encode("") == Ids{});
  CHECK(tokenizer.encode("[SEP]") == Ids{1, 1, 1});
  Ids hundred(100, 13);
  hundred[0] = 12;
  CHECK(tokenizer.encode(std::string(100, 'a')) == hundred);
  CHECK(tokenizer.encode(std::string(101, 'a') + " a") == Ids{1, 12});
  const WordPiece cased(folder.path("vocab.txt"), false);
  CHECK(cased.encode("want Want") == Ids{4, 1});
}

TEST_CASE("a vocabulary with Windows' line ends is the same one", "[data][text]") {
  const TemporaryFolder folder;
  folder.write("vocab.txt", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\nfine");
  const WordPiece tokenizer(folder.path("vocab.txt"), true);
  CHECK(tokenizer.encode("fine day") == Ids{4, 1});
  CHECK(tokenizer.marks().start == 2);
  CHECK(tokenizer.marks().end == 3);
  CHECK(tokenizer.marks().padding == 0);
}

TEST_CASE("a file that is no vocabulary says what it lacks", "[data][text]") {
  const TemporaryFolder folder;
  const auto problem = [&](const std::string& name) { return problem_of<ResourceError>([&] { open_tokenizer(folder.path(name), true, "data.eval.vocabulary"); }); };
  vocabulary(folder, {"a"}, "[PAD]\n[CLS]\n[SEP]\n");
  CHECK(problem("vocab.txt").what == "the vocabulary has no [UNK]");
  CHECK(problem("vocab.txt").where == folder.path("vocab.txt"));
  CHECK(contains(problem("vocab.txt").fix, "[PAD], [UNK], [CLS] and [SEP]"));
  folder.write("empty.txt", "");
  CHECK(problem("empty.txt").what == "the vocabulary is empty");
  folder.write("binary.txt", "\xFF\xFE\x01");
  CHECK(problem("binary.txt").what == "the vocabulary is not a text in UTF-8");
  CHECK(problem("none.txt").what == "there is no such file");
  const Problem other = problem_of<ConfigError>([&] { open_tokenizer("tokenizer.json", true, "data.eval.vocabulary"); });
  CHECK(other.what == "the vocabulary \"tokenizer.json\" ends neither in .txt nor in .model");
  CHECK(other.where == "data.eval.vocabulary");
}

TEST_CASE("rows have marks around the texts and are filled up", "[data][text]") {
  const Tokenizer::Marks bert{.start = 2, .end = 3, .padding = 0};
  const TokenRow one = make_row({7, 8}, std::nullopt, bert, 6);
  CHECK(one.ids == Ids{2, 7, 8, 3, 0, 0});
  CHECK(one.mask == Ids{1, 1, 1, 1, 0, 0});
  CHECK(one.types == Ids{0, 0, 0, 0, 0, 0});
  const TokenRow pair = make_row({7, 8}, Ids{9}, bert, 8);
  CHECK(pair.ids == Ids{2, 7, 8, 3, 9, 3, 0, 0});
  CHECK(pair.mask == Ids{1, 1, 1, 1, 1, 1, 0, 0});
  CHECK(pair.types == Ids{0, 0, 0, 0, 1, 1, 0, 0});
  const Tokenizer::Marks t5{.start = -1, .end = 1, .padding = 0};
  CHECK(make_row({7, 8}, std::nullopt, t5, 4).ids == Ids{7, 8, 1, 0});
  CHECK(make_row({}, std::nullopt, bert, 3).ids == Ids{2, 3, 0});
  CHECK(count_marks(bert, true) == 3);
  CHECK(count_marks(t5, false) == 1);
}

TEST_CASE("long texts are cut, of a pair the longer one first", "[data][text]") {
  const Tokenizer::Marks bert{.start = 2, .end = 3, .padding = 0};
  CHECK(make_row({4, 5, 6, 7}, std::nullopt, bert, 4).ids == Ids{2, 4, 5, 3});
  CHECK(make_row({4, 5, 6, 7, 8}, Ids{9, 10}, bert, 7).ids == Ids{2, 4, 5, 3, 9, 10, 3});
  CHECK(make_row({4}, Ids{7, 8, 9, 10}, bert, 6).ids == Ids{2, 4, 3, 7, 8, 3});
  CHECK(make_row({4, 5, 6}, Ids{7, 8, 9}, bert, 8).ids == Ids{2, 4, 5, 6, 3, 7, 8, 3});
}

TEST_CASE("a SentencePiece model is read by its own library", "[data][text]") {
  const TemporaryFolder folder;
  folder.write("spiece.model", unigram_model());
  const auto open = [&](const std::string& name) { return open_tokenizer(folder.path(name), true, "data.eval.vocabulary"); };
  if (sentence_piece_library().empty()) {
    const Problem problem = problem_of<ConfigError>([&] { open("spiece.model"); });
    CHECK(contains(problem.what, "built without"));
    CHECK(problem.where == "data.eval.vocabulary");
    CHECK(contains(problem.fix, "libsentencepiece-dev"));
    return;
  }
  const auto tokenizer = open("spiece.model");
  // ▁good -1; ▁ go od -7: the first wins; behind it s.
  CHECK(tokenizer->encode("good") == Ids{3});
  CHECK(tokenizer->encode("goods") == Ids{3, 7});
  CHECK(tokenizer->encode("odgo") == Ids{4, 6, 5});
  CHECK(tokenizer->encode("good x") == Ids{3, 4, 0});
  CHECK(tokenizer->marks().start == 1);
  CHECK(tokenizer->marks().end == 2);
  CHECK(tokenizer->marks().padding == 0);
  folder.write("broken.model", "this is no model");
  const Problem broken = problem_of<ResourceError>([&] { open("broken.model"); });
  CHECK(contains(broken.what, "SentencePiece cannot read the file"));
  CHECK(broken.where == folder.path("broken.model"));
  CHECK(problem_of<ResourceError>([&] { open("none.model"); }).what == "there is no such file");
}

// By hand, with the file that tests/benchmarks/tokenizers_reference writes: {vocabulary, lowercase, texts, ids}.
TEST_CASE("ids are those of a reference", "[.reference]") {
  const char* path = std::getenv("SPARSIFY_TOKENS");
  REQUIRE(path != nullptr);
  std::ifstream file(path);
  const nlohmann::json cases = nlohmann::json::parse(file);
  const auto tokenizer = open_tokenizer(cases["vocabulary"].get<std::string>(), cases["lowercase"].get<bool>(), "");
  int64_t different = 0;
  for (size_t i = 0; i < cases["texts"].size(); ++i) {
    const auto text = cases["texts"][i].get<std::string>();
    if (tokenizer->encode(text) == cases["ids"][i].get<Ids>()) continue;
    ++different;
    WARN("text " << i << ": " << text);
  }
  CHECK(cases["texts"].size() > 1000);
  CHECK(different == 0);
}
