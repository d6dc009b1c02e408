#include "train/running_curves.h"

#include <sys/stat.h>

#include "data/fixtures.h"
#include "support/catch.h"

using namespace sparsify;
namespace fs = std::filesystem;

namespace {

TrainRow point(int64_t step, double loss) {
  return {.step = step, .epoch = static_cast<double>(step) / 2, .lr = 0.5, .loss = loss, .sparsity = 0.75, .seconds = static_cast<double>(step), .time = 1000 + loss};
}

/// Two epochs of two steps.
TrainHistory after(int64_t epochs) {
  TrainHistory history;
  for (int64_t epoch = 1; epoch <= epochs; ++epoch) {
    history.steps.push_back(point(2 * epoch - 1, 4));
    history.steps.push_back(point(2 * epoch, 3));
    history.epochs.push_back(point(2 * epoch, 3.5));
  }
  return history;
}

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

ino_t file_number(const std::string& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_ino;
}

}  // namespace

TEST_CASE("running curves hold the points in the order in which they came", "[train][history]") {
  const TemporaryFolder folder;
  write_running_curves(after(2), folder.path("c"));
  CHECK(content(folder.path("c/training.csv")) ==
        "kind,step,epoch,lr,loss,sparsity,metric,seconds,wait_seconds\n"
        "step,1,0.5,0.5,4,0.75,,1.000,0.000\n"
        "step,2,1,0.5,3,0.75,,2.000,0.000\n"
        "epoch,2,1,0.5,3.5,0.75,,2.000,0.000\n"
        "step,3,1.5,0.5,4,0.75,,3.000,0.000\n"
        "step,4,2,0.5,3,0.75,,4.000,0.000\n"
        "epoch,4,2,0.5,3.5,0.75,,4.000,0.000\n");
  CHECK(content(folder.path("c/log.jsonl")) ==
        "{\"event\":\"epoch\",\"step\":2,\"epoch\":1.0,\"loss\":3.5,\"lr\":0.5,\"sparsity\":0.75,\"metric\":null,\"seconds\":2.0}\n"
        "{\"event\":\"epoch\",\"step\":4,\"epoch\":2.0,\"loss\":3.5,\"lr\":0.5,\"sparsity\":0.75,\"metric\":null,\"seconds\":4.0}\n");
  CHECK(content(folder.path("c/events.out.tfevents.sparsify")).size() == to_tensorboard(after(2)).size());
}

TEST_CASE("running curves grow in the files that a reader has open", "[train][history]") {
  const TemporaryFolder folder;
  const std::string names[] = {"training.csv", "events.out.tfevents.sparsify", "log.jsonl"};
  write_running_curves(after(1), folder.path());
  std::map<std::string, std::pair<ino_t, std::string>> before;
  for (const std::string& name : names) before[name] = {file_number(folder.path(name)), content(folder.path(name))};
  write_running_curves(after(3), folder.path());
  for (const std::string& name : names) {
    INFO(name);
    CHECK(file_number(folder.path(name)) == before[name].first);
    CHECK(content(folder.path(name)).starts_with(before[name].second));
    CHECK(content(folder.path(name)).size() > before[name].second.size());
  }
}

TEST_CASE("points after the checkpoint that a run goes on from do not come twice", "[train][history]") {
  const TemporaryFolder folder;
  const TemporaryFolder once;
  write_running_curves(after(3), folder.path());
  TrainHistory again = after(1);
  again.steps.push_back(point(3, 9));
  again.resumed = 1;
  write_running_curves(again, folder.path());
  write_running_curves(again, once.path());
  CHECK(content(folder.path("training.csv")) == content(once.path("training.csv")));
  CHECK(content(folder.path("events.out.tfevents.sparsify")) == content(once.path("events.out.tfevents.sparsify")));
  CHECK(content(folder.path("log.jsonl")) == content(once.path("log.jsonl")));
}

TEST_CASE("half a line that a killed run left is completed", "[train][history]") {
  const TemporaryFolder folder;
  write_running_curves(after(2), folder.path());
  const std::string whole = content(folder.path("training.csv"));
  fs::resize_file(folder.path("training.csv"), whole.size() - 7);
  write_running_curves(after(2), folder.path());
  CHECK(content(folder.path("training.csv")) == whole);
}

TEST_CASE("without a point there are no files and no folder", "[train][history]") {
  const TemporaryFolder folder;
  write_running_curves({}, folder.path("c"));
  CHECK_FALSE(fs::exists(folder.path("c")));
}
