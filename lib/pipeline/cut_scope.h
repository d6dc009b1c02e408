#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "mask/prunable.h"
#include "pipeline/cut_rule.h"
#include "structure/blocks.h"
#include "structure/structure.h"

namespace sparsify {

/// Which groups and residual blocks the rules of a cut select. Of several rules of a kind the last one that selects a group or a block has it.
class CutScope {
 public:
  /// Both must outlive the scope.
  CutScope(const ModelFile& file, const Structure& structure);

  /// throws ConfigError, before any data is read, for a rule that selects nothing that can go: why not, and what comes near its name
  void check(const CutRule& rule) const;

  /// Indices of the groups that can be cut and that none of the `later` rules selects; may be empty. throws as check()
  std::vector<size_t> groups(const CutRule& rule, std::span<const CutRule> later) const;
  /// Likewise of residual blocks, for the pattern `layer`.
  std::vector<Block> blocks(const CutRule& rule, std::span<const CutRule> later) const;

  /// By tensor id.
  const std::map<int, PrunableTensor>& tensors() const { return tensors_; }

 private:
  bool takes(const Selection& select, const Group& group) const;
  bool takes(const Selection& select, const Block& block) const;
  std::vector<size_t> cuttable_groups(const CutRule& rule) const;
  void leave_crossing_heads_(const Selection& select, std::vector<size_t>& groups) const;
  std::vector<Block> selected_blocks(const CutRule& rule) const;
  [[noreturn]] void throw_nothing(const CutRule& rule, const std::vector<size_t>& selected) const;

  const ModelFile& file_;
  const Structure& structure_;
  std::map<int, PrunableTensor> tensors_;
};

}  // namespace sparsify
