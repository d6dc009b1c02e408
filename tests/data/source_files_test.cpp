#include "data/source_files.h"

#include "fixtures.h"
#include "support/catch.h"

using namespace sparsify;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> files_of(const std::string& yaml) {
  return files_of_set("eval", {{"eval", parse_yaml(yaml, "recipe.yaml")}});
}

}  // namespace

TEST_CASE("a set names the files that decide about its records", "[data][files]") {
  const TemporaryFolder folder;
  for (const char* name : {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"}) {
    folder.write(name, "x");
  }
  CHECK(files_of("{format: cifar10, split: train, path: " + folder.path() + "}").size() == 5);
  CHECK(files_of("{format: cifar10, split: test, path: " + folder.path() + "}") == std::vector{folder.path("test_batch.bin")});
  folder.write("t10k-images-idx3-ubyte", "x");
  folder.write("t10k-labels-idx1-ubyte", "x");
  CHECK(files_of("{format: idx, split: test, path: " + folder.path() + "}") ==
        std::vector{folder.path("t10k-images-idx3-ubyte"), folder.path("t10k-labels-idx1-ubyte")});
  folder.write("a.csv", "1,2\n");
  CHECK(files_of("{format: csv, path: " + folder.path("a.csv") + "}") == std::vector{folder.path("a.csv")});
  folder.write("b.npz", "x");
  CHECK(files_of("{format: npz, path: " + folder.path("b.npz") + "}") == std::vector{folder.path("b.npz")});
  CHECK(files_of("{format: random, limit: 3}").empty());
}

TEST_CASE("folders of images and recorded runs name every file, in order", "[data][files]") {
  const TemporaryFolder folder;
  folder.write("images/b/2.png", "x");
  folder.write("images/a/1.jpg", "x");
  folder.write("images/a/notes.txt", "x");
  CHECK(files_of("{format: image_folder, path: " + folder.path("images") + "}") ==
        std::vector{folder.path("images/a/1.jpg"), folder.path("images/b/2.png")});
  folder.write("runs/test_data_set_0/output_0.pb", "x");
  folder.write("runs/test_data_set_0/input_0.pb", "x");
  CHECK(files_of("{format: onnx, path: " + folder.path("runs") + "}") ==
        std::vector{folder.path("runs/test_data_set_0/input_0.pb"), folder.path("runs/test_data_set_0/output_0.pb")});
}

TEST_CASE("texts are decided by their vocabulary too", "[data][files]") {
  const TemporaryFolder folder;
  folder.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n");
  folder.write("dev.tsv", "sentence\tlabel\na\t1\n");
  CHECK(files_of("{format: tsv_text, path: " + folder.path("dev.tsv") + ", vocabulary: " + folder.path("vocab.txt") + "}") ==
        std::vector{folder.path("dev.tsv"), folder.path("vocab.txt")});
}

TEST_CASE("a set that takes another's records has its files", "[data][files]") {
  const TemporaryFolder folder;
  folder.write("a.csv", "1,2\n");
  CHECK(files_of_set("held", {{"held", parse_yaml("{from: all, limit: 1}", "recipe.yaml")},
                              {"all", parse_yaml("{format: csv, path: " + folder.path("a.csv") + "}", "recipe.yaml")}}) == std::vector{folder.path("a.csv")});
}

TEST_CASE("a digest follows the bytes of small files, whatever their time", "[data][files]") {
  const TemporaryFolder folder;
  folder.write("a", "one");
  folder.write("b", "two");
  const std::vector files = {folder.path("a"), folder.path("b")};
  const std::string before = digest_of_files(files);
  fs::last_write_time(files[0], fs::last_write_time(files[0]) + std::chrono::seconds(5));
  CHECK(digest_of_files(files) == before);
  folder.write("b", "twO");
  CHECK(digest_of_files(files) != before);
  folder.write("b", "two");
  CHECK(digest_of_files(files) == before);
  CHECK(digest_of_files({files[0]}) != before);
}

TEST_CASE("a digest follows size and time of files that are too large to read", "[data][files]") {
  const TemporaryFolder folder;
  folder.write("a", "one");
  const std::vector files = {folder.path("a")};
  const auto time = fs::last_write_time(files[0]);
  const std::string before = digest_of_files(files, 2);
  folder.write("a", "two");
  fs::last_write_time(files[0], time);
  CHECK(digest_of_files(files, 2) == before);
  fs::last_write_time(files[0], time + std::chrono::nanoseconds(1));
  CHECK(digest_of_files(files, 2) != before);
  CHECK(problem_of<ResourceError>([&] { digest_of_files({folder.path("none")}); }).where == folder.path("none"));
}
