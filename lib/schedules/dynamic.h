#pragma once

#include <string>

#include "schedules/schedule.h"

namespace sparsify {

/// Dynamic sparse training: the target from the first step on, with masks that move. SET: Mocanu et al. 2018,
/// doi:10.1038/s41467-018-04316-3; RigL: Evci et al. 2020, arXiv:1911.11134, with its defaults. Pair with allocation: erk.
class Dynamic final : public Schedule {
 public:
  explicit Dynamic(const Options& options);

  double sparsity_at(double, double target) const override { return target; }
  int64_t every() const override { return every_; }
  const std::string& grow() const { return grow_; }
  double fraction() const { return fraction_; }
  double end() const { return end_; }

 private:
  std::string grow_;
  double fraction_;
  int64_t every_;
  double end_;
};

}  // namespace sparsify
