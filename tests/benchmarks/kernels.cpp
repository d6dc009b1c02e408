// How fast weights are selected, against the machine's memcpy in the same run: every round times every case once, so
// that a busy machine disturbs all of them alike. Time is the thread's processor time; the median round counts.
//
//   bench_kernels [--json] [--rounds N] [--megabytes N] [--only PREFIX]
#include <fmt/core.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/rng.h"
#include "tensor/kernels.h"
#include "tensor/n_of_m.h"
#include "tensor/select.h"

namespace sparsify {
namespace {

struct Settings {
  int rounds = 7;
  int64_t megabytes = 180;
  bool json = false;
  std::string only;
};

struct Case {
  std::string name;
  int64_t bytes = 0;  ///< of the weights
  std::function<void()> run;
  std::vector<double> seconds;

  double median() const {
    std::vector<double> sorted = seconds;
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }
  double gigabytes_per_second() const { return static_cast<double>(bytes) / median() * 1e-9; }
};

/// Processor time of this thread: what a busy machine takes away is not counted.
double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Sum of four uniform numbers: bell-shaped, quick and the same everywhere.
std::vector<float> bell_shaped(int64_t count, uint64_t seed) {
  std::vector<float> values(static_cast<size_t>(count));
  const Rng rng(seed);
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t bits = rng.bits_at(static_cast<uint64_t>(i));
    int32_t sum = 0;
    for (int part = 0; part < 4; ++part) sum += static_cast<int32_t>((bits >> (16 * part)) & 0xffff);
    values[static_cast<size_t>(i)] = static_cast<float>(sum - 131070) * 0x1.0p-16f + static_cast<float>(bits >> 40) * 0x1.0p-44f;
  }
  return values;
}

class Suite {
 public:
  explicit Suite(const Settings& settings) : settings_(settings) {
    rows_ = std::max<int64_t>(64, settings.megabytes * 1'000'000 / 4 / 11008 / 8 * 8);
    weights_ = bell_shaped(rows_ * 11008, 1);
    target_ = weights_;
    const auto size = static_cast<int64_t>(weights_.size());
    add("memcpy", size, [this] { std::memcpy(target_.data(), weights_.data(), 4 * weights_.size()); });
    for (const auto& [n, m] : {std::pair{2, 4}, {4, 8}, {8, 16}, {1, 2}, {3, 7}, {32, 64}, {64, 128}}) {
      add_n_of_m(fmt::format("{}:{} of rows", n, m), {rows_, 11008 / m * m}, 1, n, m);
    }
    const int64_t channels = rows_ / 16 * 16 / 4;
    add_n_of_m("2:4 of 3x3 convolutions", {size / (9 * channels), channels, 3, 3}, 1, 2, 4);
    add_n_of_m("2:4 of columns", {rows_, 11008}, 0, 2, 4);
    add("2:4 of rows, selection only", size,
        [this] { select_n_of_m(ScoreView::magnitudes(weights_), {rows_, 11008}, 1, 2, 4); });
    for (const double sparsity : {0.5, 0.9}) add_selection(sparsity);
    add("apply", size, [this] { apply_mask_(half_, 0, std::as_writable_bytes(std::span(target_)), 4); });
    half_ = select_highest(ScoreView::magnitudes(weights_), size / 2);
  }

  void run() {
    for (int round = 0; round <= settings_.rounds; ++round) {
      for (Case& one : cases_) {
        if (one.name != "memcpy" && !one.name.starts_with(settings_.only)) continue;
        const double start = thread_seconds();
        one.run();
        if (round > 0) one.seconds.push_back(thread_seconds() - start);  // round 0 touches the pages
      }
    }
  }

  void print() const {
    const double memcpy_speed = cases_.front().gigabytes_per_second();
    nlohmann::ordered_json document = {
        {"kernels", kernels().name}, {"megabytes", static_cast<double>(4 * weights_.size()) * 1e-6}, {"rounds", settings_.rounds}};
    if (!settings_.json) fmt::print("{:38} {:>8} {:>8} {:>10}\n", "one thread, " + std::string(kernels().name), "ms", "GB/s", "x memcpy");
    for (const Case& one : cases_) {
      if (one.seconds.empty()) continue;
      const double speed = one.gigabytes_per_second();
      document["cases"].push_back(
          {{"name", one.name}, {"seconds", one.median()}, {"gb_per_s", speed}, {"x_memcpy", speed / memcpy_speed}});
      if (!settings_.json) fmt::print("{:38} {:8.1f} {:8.2f} {:10.2f}\n", one.name, 1e3 * one.median(), speed, speed / memcpy_speed);
    }
    if (settings_.json) fmt::print("{}\n", document.dump(1));
  }

 private:
  void add(std::string name, int64_t elements, std::function<void()> run) {
    cases_.push_back({std::move(name), 4 * elements, std::move(run), {}});
  }

  void add_n_of_m(const std::string& name, const Shape& shape, int axis, int n, int m) {
    int64_t size = 1;
    for (const int64_t dimension : shape) size *= dimension;
    add(name, size, [this, shape, axis, n, m, size] {
      const auto weights = std::span(target_).first(static_cast<size_t>(size));
      keep_n_of_m_(std::as_writable_bytes(weights), shape, axis, n, m);
    });
  }

  /// One matrix, and the same weights as 72 layers in the proportions of a transformer's linear layers.
  void add_selection(double sparsity) {
    const auto size = static_cast<int64_t>(weights_.size());
    const auto keep = static_cast<int64_t>(static_cast<double>(size) * (1 - sparsity));
    add(fmt::format("{} of one layer", sparsity), size, [this, keep] { select_highest(ScoreView::magnitudes(weights_), keep); });
    add(fmt::format("{} of one layer, with apply", sparsity), size, [this, keep] {
      const BitMask mask = select_highest(ScoreView::magnitudes(weights_), keep);
      apply_mask_(mask, 0, std::as_writable_bytes(std::span(target_)), 4);
    });
    ScoreArrays layers;
    const int64_t unit = size / (12 * 12);
    for (int block = 0; block < 12; ++block) {
      for (const int64_t share : {1, 1, 1, 1, 4, 4}) layers.sizes.push_back(share * unit);
    }
    std::vector<int64_t> firsts;
    int64_t total = 0;
    for (const int64_t count : layers.sizes) {
      firsts.push_back(total);
      total += count;
    }
    layers.read = [this, firsts, sizes = layers.sizes](size_t i, std::vector<float>&) {
      return ScoreView::magnitudes(std::as_bytes(
          std::span(weights_).subspan(static_cast<size_t>(firsts[i]), static_cast<size_t>(sizes[i]))));
    };
    const auto keep_all = static_cast<int64_t>(static_cast<double>(total) * (1 - sparsity));
    const auto select = [layers, keep_all](auto on_mask) {
      Threshold threshold = select_jointly(layers, keep_all).threshold;
      std::vector<float> buffer;
      for (size_t i = 0; i < layers.sizes.size(); ++i) {
        on_mask(i, select_by_threshold(layers.read(i, buffer), threshold));
      }
    };
    add(fmt::format("{} of 72 layers, global", sparsity), total, [select] { select([](size_t, const BitMask&) {}); });
    add(fmt::format("{} of 72 layers, global, with apply", sparsity), total, [this, select, layers, firsts] {
      select([&](size_t i, const BitMask& mask) {
        const auto of_layer = std::span(target_).subspan(static_cast<size_t>(firsts[i]), static_cast<size_t>(layers.sizes[i]));
        apply_mask_(mask, 0, std::as_writable_bytes(of_layer), 4);
      });
    });
  }

  Settings settings_;
  int64_t rows_ = 0;
  std::vector<float> weights_;
  std::vector<float> target_;
  BitMask half_;
  std::vector<Case> cases_;
};

}  // namespace
}  // namespace sparsify

int main(int argc, char** argv) {
  sparsify::Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto number = [&] { return i + 1 < argc ? std::atoll(argv[++i]) : 0; };
    if (argument == "--json") {
      settings.json = true;
    } else if (argument == "--rounds") {
      settings.rounds = static_cast<int>(std::max(1LL, number()));
    } else if (argument == "--megabytes") {
      settings.megabytes = std::max(1LL, number());
    } else if (argument == "--only" && i + 1 < argc) {
      settings.only = argv[++i];
    } else {
      fmt::print(stderr, "usage: bench_kernels [--json] [--rounds N] [--megabytes N] [--only PREFIX]\n");
      return 2;
    }
  }
  sparsify::Suite suite(settings);
  suite.run();
  suite.print();
}
