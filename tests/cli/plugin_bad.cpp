// Plugins that break what docs/plugins.md says they must: each must be named with what it did.
#include <limits>
#include <stdexcept>

#include "sparsify_plugin.h"

namespace {

using namespace sparsify;

struct NanScores final : Criterion {
  explicit NanScores(const Options&) {}
  void score(const PrunableTensor&, std::span<const float>, const LayerEvidence&, std::span<float> scores) const override {
    for (float& score : scores) score = std::numeric_limits<float>::quiet_NaN();
  }
};

struct Throws final : Criterion {
  explicit Throws(const Options&) {}
  void score(const PrunableTensor&, std::span<const float>, const LayerEvidence&, std::span<float>) const override { throw std::runtime_error("boom"); }
};

struct ThrowsLogic final : Criterion {
  explicit ThrowsLogic(const Options&) {}
  void score(const PrunableTensor&, std::span<const float>, const LayerEvidence&, std::span<float>) const override { throw std::out_of_range("too far"); }
};

struct ThrowsNumber final : Criterion {
  explicit ThrowsNumber(const Options&) {}
  void score(const PrunableTensor&, std::span<const float>, const LayerEvidence&, std::span<float>) const override { throw 42; }
};

struct ThrowsAtOnce final : Criterion {
  explicit ThrowsAtOnce(const Options&) { throw std::runtime_error("no licence"); }
  void score(const PrunableTensor&, std::span<const float>, const LayerEvidence&, std::span<float>) const override {}
};

struct Empty final : Allocator {
  explicit Empty(const Options&) {}
  Budget allocate(const AllocationTask&) const override { return {}; }
};

struct Negative final : Allocator {
  explicit Negative(const Options&) {}
  Budget allocate(const AllocationTask& task) const override { return Budget(task.units.size(), -5); }
};

struct Everything final : Allocator {
  explicit Everything(const Options&) {}
  Budget allocate(const AllocationTask& task) const override { return task.units; }
};

struct Twice final : Allocator {
  explicit Twice(const Options&) {}
  Budget allocate(const AllocationTask& task) const override {
    Budget budget = task.units;
    for (int64_t& units : budget) units *= 2;
    return budget;
  }
};

struct KeepsAll final : Pattern {
  explicit KeepsAll(const Options&) {}
  std::string describe() const override { return "keeps_all"; }
  int64_t units(const PrunableTensor& layer) const override { return layer.count(); }
  BitMask select(const PrunableTensor& layer, ScoreView, int64_t) const override { return BitMask(layer.count(), true); }
};

struct WrongSize final : Pattern {
  explicit WrongSize(const Options&) {}
  std::string describe() const override { return "wrong_size"; }
  int64_t units(const PrunableTensor& layer) const override { return layer.count(); }
  BitMask select(const PrunableTensor&, ScoreView, int64_t) const override { return BitMask(3, true); }
};

struct Falls final : Schedule {
  explicit Falls(const Options&) {}
  double sparsity_at(double progress, double target) const override { return progress < 0.5 ? target : 0.1; }
  bool is_gradual() const override { return true; }
};

struct TooHigh final : Schedule {
  explicit TooHigh(const Options&) {}
  double sparsity_at(double progress, double target) const override { return progress < 0.5 ? 1.7 : target; }
  bool is_gradual() const override { return true; }
};

struct NoNumber final : Schedule {
  explicit NoNumber(const Options&) {}
  double sparsity_at(double, double) const override { return std::numeric_limits<double>::quiet_NaN(); }
  bool is_gradual() const override { return true; }
};

struct EndsElsewhere final : Schedule {
  explicit EndsElsewhere(const Options&) {}
  double sparsity_at(double progress, double target) const override { return progress * target / 2; }
  bool is_gradual() const override { return true; }
};

const RegisterPlugin<Criterion, NanScores> nan_scores{"nan_scores", "bad"};
const RegisterPlugin<Criterion, Throws> throws{"throws", "bad"};
const RegisterPlugin<Criterion, ThrowsLogic> throws_logic{"throws_logic", "bad"};
const RegisterPlugin<Criterion, ThrowsNumber> throws_number{"throws_number", "bad"};
const RegisterPlugin<Criterion, ThrowsAtOnce> throws_at_once{"throws_at_once", "bad"};
const RegisterPlugin<Allocator, Empty> empty{"empty", "bad"};
const RegisterPlugin<Allocator, Negative> negative{"negative", "bad"};
const RegisterPlugin<Allocator, Everything> everything{"everything", "bad"};
const RegisterPlugin<Allocator, Twice> twice{"twice", "bad"};
const RegisterPlugin<Pattern, KeepsAll> keeps_all{"keeps_all", "bad"};
const RegisterPlugin<Pattern, WrongSize> wrong_size{"wrong_size", "bad"};
const RegisterPlugin<Schedule, Falls> falls{"falls", "bad"};
const RegisterPlugin<Schedule, TooHigh> too_high{"too_high", "bad"};
const RegisterPlugin<Schedule, NoNumber> no_number{"no_number", "bad"};
const RegisterPlugin<Schedule, EndsElsewhere> ends_elsewhere{"ends_elsewhere", "bad"};

}  // namespace

SPARSIFY_PLUGIN()
