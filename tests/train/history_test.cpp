#include <cstring>
#include <nlohmann/json.hpp>

#include "support/catch.h"
#include "train/history.h"

using namespace sparsify;

namespace {

TrainHistory sample() {
  TrainHistory history{.samples = 256, .metric = "top1"};
  history.steps.push_back({.step = 1, .epoch = 0.5, .lr = 0.25, .loss = 1.5, .sparsity = 0.75, .seconds = 2, .wait_seconds = 0.5, .time = 1000});
  history.epochs.push_back({.step = 2, .epoch = 1, .lr = 0.125, .loss = 1.25, .sparsity = 0.75, .metric = 80.5, .seconds = 4, .time = 1002});
  history.best_epoch = 0;
  return history;
}

uint64_t number(const std::string& bytes, size_t at, size_t width) {
  uint64_t value = 0;
  std::memcpy(&value, bytes.data() + at, width);
  return value;
}

}  // namespace

TEST_CASE("a history survives its JSON exactly", "[train][history]") {
  const TrainHistory history = sample();
  const TrainHistory again = history_from_json(to_json(history));
  CHECK(to_json(again).dump() == to_json(history).dump());
  CHECK(again.epochs.at(0).metric == 80.5);
  CHECK(again.best_epoch == 0);
}

TEST_CASE("the CSV has a line for every point", "[train][history]") {
  CHECK(to_csv(sample()) ==
        "kind,step,epoch,lr,loss,sparsity,metric,seconds,wait_seconds\n"
        "step,1,0.5,0.25,1.5,0.75,,2.000,0.500\n"
        "epoch,2,1,0.125,1.25,0.75,80.5,4.000,0.000\n");
}

TEST_CASE("the event file begins with the record that TensorBoard looks for", "[train][history]") {
  const std::string file = to_tensorboard(sample());
  // wall_time 1000.0, step 0, file_version: as TensorFlow writes them; CRCs computed with its own masked_crc32c.
  const uint64_t length = number(file, 0, 8);
  REQUIRE(length == 9 + 2 + 2 + 13);
  const std::string event = file.substr(12, length);
  CHECK(event.substr(0, 1) == "\x09");
  double time = 0;
  std::memcpy(&time, event.data() + 1, 8);
  CHECK(time == 1000.0);
  CHECK(event.substr(9, 2) == std::string("\x10\0", 2));
  CHECK(event.substr(11) == "\x1a\x0d" "brain.Event:2");
  // crc32c of eight bytes {26, 0 ...} is 0xf9b8e1b1 by the bitwise definition; masked: rotate by 15, add 0xa282ead8.
  uint32_t crc = ~0U;
  for (size_t i = 0; i < 8; ++i) {
    crc ^= static_cast<unsigned char>(file[i]);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1U) != 0 ? (crc >> 1) ^ 0x82F63B78U : crc >> 1;
  }
  crc = ~crc;
  CHECK(number(file, 8, 4) == static_cast<uint32_t>(((crc >> 15) | (crc << 17)) + 0xA282EAD8U));
}

TEST_CASE("the event file holds every scalar once", "[train][history]") {
  const std::string file = to_tensorboard(sample());
  size_t records = 0;
  size_t at = 0;
  std::string all;
  for (; at < file.size(); ++records) {
    const uint64_t length = number(file, at, 8);
    all += file.substr(at + 12, length);
    at += 16 + length;
  }
  CHECK(at == file.size());
  CHECK(records == 1 + 3 + 2);
  for (const char* tag : {"loss", "lr", "sparsity", "epoch/loss", "epoch/top1"}) CHECK(all.find(tag) != std::string::npos);
}
