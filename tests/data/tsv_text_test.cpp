#include <chrono>
#include <iostream>

#include "fixtures.h"
#include "support/catch.h"
#include "support/shared.h"

using namespace sparsify;

namespace {

using Ids = std::vector<int64_t>;

ValueInfo ids_input(const std::string& name, DType type = DType::Int64, int64_t length = -1) { return model_input(name, type, {-1, length}); }

const InputSignature kModel = {ids_input("input_ids")};

/// A folder with vocab.txt: good 4, bad 5, film 6, ##s 7, " 8, . 9.
class Texts : public TemporaryFolder {
 public:
  Texts() { write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\ngood\nbad\nfilm\n##s\n\"\n.\n"); }

  /// `content` as dev.tsv, opened with the vocabulary and these keys.
  DataSource open(const std::string& content, const std::string& keys = "", const InputSignature& signature = kModel) const {
    write("dev.tsv", content);
    return open_set("path: " + path("dev.tsv") + keys, signature);
  }
  DataSource open_set(const std::string& keys, const InputSignature& signature = kModel) const {
    return open_source("eval: {format: tsv_text, vocabulary: " + path("vocab.txt") + ", " + keys + "}", signature);
  }
};

Ids first_ids(const DataSource& source) { return source.stream({})->next()->inputs[0].to_integers(); }

}  // namespace

TEST_CASE("a column of texts becomes ids, marked and filled up", "[data][text]") {
  const Texts texts;
  const DataSource source = texts.open("sentence\tlabel\nGood films.\t1\n\"bad\" film\t0\n", ", max_length: 7");
  CHECK(source.size() == 2);
  CHECK(source.has_labels());
  CHECK(source.describe() == "tsv_text " + texts.path("dev.tsv") + " (2 samples)");
  const Batch batch = *source.stream({})->next();
  CHECK(batch.inputs[0].type() == DType::Int64);
  CHECK(batch.inputs[0].shape() == Shape{2, 7});
  CHECK(batch.inputs[0].to_integers() == Ids{2, 4, 6, 7, 9, 3, 0, 2, 8, 5, 8, 6, 3, 0});
  CHECK(batch.labels->to_integers() == Ids{1, 0});
}

TEST_CASE("the model's inputs get what their names say, in their types", "[data][text]") {
  const Texts texts;
  const InputSignature bert = {ids_input("token_type_ids", DType::Int32), ids_input("attention_mask"), ids_input("input_ids", DType::Int32)};
  const Batch batch = *texts.open("sentence1\tsentence2\tlabel\ngood\tbad film\t0\n", ", max_length: 8", bert).stream({})->next();
  REQUIRE(batch.inputs.size() == 3);
  CHECK(batch.inputs[0].type() == DType::Int32);
  CHECK(batch.inputs[1].type() == DType::Int64);
  CHECK(batch.inputs[2].type() == DType::Int32);
  CHECK(batch.inputs[0].to_integers() == Ids{0, 0, 0, 1, 1, 1, 0, 0});
  CHECK(batch.inputs[1].to_integers() == Ids{1, 1, 1, 1, 1, 1, 0, 0});
  CHECK(batch.inputs[2].to_integers() == Ids{2, 4, 3, 5, 6, 3, 0, 0});

  const InputSignature google = {ids_input("segment_ids:0"), ids_input("input_mask:0"), ids_input("input_ids:0")};
  CHECK(texts.open("text\ngood\n", ", max_length: 4", google).stream({})->next()->inputs[1].to_integers() == Ids{1, 1, 1, 0});
  CHECK(first_ids(texts.open("text\ngood\n", ", max_length: 4", {ids_input("tokens")})) == Ids{2, 4, 3, 0});
}

TEST_CASE("the model's length holds, else max_length, else 128", "[data][text]") {
  const Texts texts;
  const std::string content = "text\ngood good good good\n";
  CHECK(first_ids(texts.open(content, "", {ids_input("input_ids", DType::Int64, 5)})) == Ids{2, 4, 4, 4, 3});
  CHECK(first_ids(texts.open(content, ", max_length: 4")) == Ids{2, 4, 4, 3});
  CHECK(first_ids(texts.open(content)).size() == 128);
  const Problem other = problem_of<ConfigError>([&] { texts.open(content, ", max_length: 6", {ids_input("input_ids", DType::Int64, 5)}); });
  CHECK(other.what == "max_length is 6, the model takes rows of 5");
  CHECK(contains(other.where, "max_length"));
  const Problem small = problem_of<ShapeError>([&] { texts.open("sentence1\tsentence2\na\tb\n", ", max_length: 3"); });
  CHECK(small.what == "rows of 3 leave no room for text: 3 marks stand around it");
  CHECK(small.fix == "set max_length to more");
}

TEST_CASE("the columns of the texts are guessed only where it is clear", "[data][text]") {
  const Texts texts;
  const auto ids = [&](const std::string& columns, const std::string& keys = "") {
    return first_ids(texts.open(columns + "\ngood\tbad\tfilm\n", keys + ", label: none, max_length: 6"));
  };
  CHECK(ids("index\tsentence\tx") == Ids{2, 5, 3, 0, 0, 0});
  CHECK(ids("x\ty\ttext") == Ids{2, 6, 3, 0, 0, 0});
  CHECK(ids("index\tquestion\tsentence") == Ids{2, 5, 3, 6, 3, 0});
  CHECK(ids("hypothesis\tpremise\tx") == Ids{2, 5, 3, 4, 3, 0});
  CHECK(ids("a\tb\tc", ", text: b") == Ids{2, 5, 3, 0, 0, 0});
  CHECK(ids("a\tb\tc", ", text: [c, a]") == Ids{2, 6, 3, 4, 3, 0});
  for (const char* columns : {"a\tb\tc", "sentence\ttext\tx", "sentence1\tsentence2\ttext"}) {
    const Problem problem = problem_of<ConfigError>([&] { ids(columns); });
    CHECK(contains(problem.what, "is the text is not clear: there are "));
    CHECK(contains(problem.where, "text"));
    CHECK(contains(problem.fix, "set text: COLUMN"));
  }
  const Problem missing = problem_of<ConfigError>([&] { ids("sentence\tb\tc", ", text: sentense"); });
  CHECK(missing.what == "no column of " + texts.path("dev.tsv") + " is named \"sentense\"");
  CHECK(contains(missing.fix, "did you mean \"sentence\"?"));
  CHECK(problem_of<ConfigError>([&] { ids("a\tb\tc", ", text: [a, b, c]"); }).what == "text names 3 columns");
}

TEST_CASE("labels are classes, values, names or not there", "[data][text]") {
  const Texts texts;
  const auto labels = [&](const std::string& content, const std::string& keys = "") { return *texts.open(content, keys).stream({})->next()->labels; };
  CHECK(labels("text\tlabel\ngood\t1\nbad\t0\n").type() == DType::Int64);
  const HostTensor values = labels("text\tlabel\ngood\t1\nbad\t0.25\n");
  CHECK(values.type() == DType::Float32);
  CHECK(values.to_floats() == std::vector<float>{1, 0.25});
  CHECK(labels("text\tlabel\ngood\t1\n", ", target: value").type() == DType::Float32);
  CHECK(labels("text\tgold\ngood\tpos\nbad\tneg\n", ", label: gold, label_names: [neg, pos]").to_integers() == Ids{1, 0});
  CHECK_FALSE(texts.open("text\tgold\ngood\t1\n").has_labels());
  CHECK_FALSE(texts.open("text\tlabel\ngood\t1\n", ", label: none").has_labels());

  const Problem text = problem_of<ResourceError>([&] { texts.open("text\tlabel\ngood\t1\nbad\tneg\n"); });
  CHECK(text.what == "the label is \"neg\", not a number");
  CHECK(text.where == texts.path("dev.tsv") + ":3");
  CHECK(contains(text.fix, "label_names"));
  CHECK(problem_of<ResourceError>([&] { texts.open("text\tlabel\ngood\t0.5\n", ", target: class"); }).what == "the label is \"0.5\", not a class index");
  CHECK(problem_of<ResourceError>([&] { texts.open("text\tlabel\ngood\tx\n", ", label_names: [neg, pos]"); }).what == "the label is \"x\", not one of neg, pos");
  const Problem column = problem_of<ConfigError>([&] { texts.open("text\tlabels\ngood\t1\n", ", label: label"); });
  CHECK(contains(column.what, "is named \"label\""));
  CHECK(contains(column.fix, "did you mean \"labels\"?"));
  const Problem range = problem_of<ResourceError>([&] { read_all(texts.open("text\tlabel\ngood\t0\nbad\t2\n", ", classes: 2")); });
  CHECK(range.what == "the label is 2, the classes are 0 to 1");
  CHECK(range.where == "data.eval, " + texts.path("dev.tsv") + ":3, record 1");
}

TEST_CASE("damaged TSV files name the line", "[data][text]") {
  const Texts texts;
  const auto problem = [&](const std::string& content) { return problem_of<ResourceError>([&] { texts.open(content); }); };
  CHECK(problem("").what == "the file is empty");
  CHECK(problem("text\tlabel\n\n").what == "the file has no records");
  const Problem ragged = problem("text\tlabel\ngood\t1\n\nbad\tfilm\t0\n");
  CHECK(ragged.what == "the line has 3 columns, the first one has 2");
  CHECK(ragged.where == texts.path("dev.tsv") + ":4");
  const Problem bytes = problem("text\ngood\nna\xEFve\n");
  CHECK(bytes.what == "the line is not UTF-8");
  CHECK(bytes.where == texts.path("dev.tsv") + ":3");
}

TEST_CASE("line ends, a byte order mark and empty texts are no trouble", "[data][text]") {
  const Texts texts;
  CHECK(first_ids(texts.open("\xEF\xBB\xBFtext\tlabel\r\ngood\t1\r\n\r\nbad\t0\r\n", ", max_length: 3")) == Ids{2, 4, 3, 2, 5, 3});
  CHECK(first_ids(texts.open("text\ngood\n\nbad", ", max_length: 3")) == Ids{2, 4, 3, 2, 3, 0, 2, 5, 3});
}

TEST_CASE("a folder has a file for each split, dev and validation being one", "[data][text]") {
  const Texts texts;
  texts.write("train.tsv", "text\tlabel\ngood\t1\ngood\t1\n");
  texts.write("dev.tsv", "text\tlabel\nbad\t0\n");
  const auto open = [&](const std::string& split) { return texts.open_set("path: " + texts.path() + split); };
  CHECK(open(", split: train").size() == 2);
  CHECK(open(", split: dev").size() == 1);
  CHECK(open(", split: validation").size() == 1);
  CHECK(problem_of<ResourceError>([&] { open(", split: test"); }).what == "test.tsv is not there");
  CHECK(contains(problem_of<ConfigError>([&] { open(""); }).fix, "set split"));
  CHECK(contains(problem_of<ConfigError>([&] { open_source("eval: {format: tsv_text, path: " + texts.path("dev.tsv") + "}", kModel); }).what,
                 "vocabulary is not given"));
}

TEST_CASE("a model that takes no text is refused by the input's name", "[data][text]") {
  const Texts texts;
  const auto problem = [&](const InputSignature& signature) { return problem_of<ShapeError>([&] { texts.open("text\ngood\n", "", signature); }); };
  CHECK(problem({ids_input("input_ids"), model_input("position", DType::Int64, {-1, -1})}).what ==
        "a text gives nothing for the model's input \"position\" (int64[N, N])");
  CHECK(contains(problem({model_input("image", DType::Float32, {-1, 4})}).what, "\"image\""));
  CHECK(problem({ids_input("attention_mask")}).what == "the model has no input for the ids of the texts");
  CHECK(contains(problem({model_input("input_ids", DType::Int64, {-1})}).what, "texts are [batch, ids]"));
  CHECK(problem({ids_input("input_ids", DType::Int64, 8), ids_input("attention_mask", DType::Int64, 9)}).what ==
        "the model's inputs take rows of 8 and of 9");
}

TEST_CASE("SST-2 has its 67,349 and 872 sentences", "[data][shared]") {
  const std::filesystem::path folder = shared_or_skip("data/sst2", "SST-2 sentences");
  if (folder.empty()) return;
  const Texts texts;
  const auto open = [&](const std::string& split) { return texts.open_set("max_length: 64, path: " + folder.string() + ", split: " + split); };
  CHECK(open("train").size() == 67349);
  const DataSource dev = open("validation");
  CHECK(dev.size() == 872);
  int64_t positive = 0;
  for (const int64_t label : read_labels(dev)) positive += label;
  CHECK(positive == 444);
  const DataSource test = open("test");
  CHECK(test.size() == 1821);
  CHECK_FALSE(test.has_labels());
}

TEST_CASE("throughput of SST-2's sentences", "[.benchmark]") {
  const std::filesystem::path folder = shared_or_skip("data/sst2", "SST-2 throughput");
  const char* vocabulary = std::getenv("SPARSIFY_VOCABULARY");
  if (folder.empty() || vocabulary == nullptr) return;
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  const DataSource source = open_source(std::string("eval: {format: tsv_text, split: train, max_length: 64, path: ") + folder.string() + ", vocabulary: " + vocabulary + "}", kModel);
  const double opened = seconds();
  int64_t sentences = 0;
  const auto stream = source.stream({});
  while (const auto batch = stream->next()) sentences += batch->count;
  std::cout << sentences << " sentences: opened in " << opened << " s, read in " << seconds() - opened << " s\n";
}
