#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sparsify {

/// The longest group that is searched.
inline constexpr int kMaxPermutedGroup = 64;

struct PermutationSearch {
  double effort = 1;  ///< of the annealing, in units of about half a second; 0: none
  uint64_t seed = 0;
};

struct ColumnPermutation {
  std::vector<int64_t> order;  ///< column i of the permuted matrix is column order[i] of the given one
  double kept_before = 0;      ///< magnitude that N:M keeps in the given order
  double kept = 0;             ///< and in this one
};

/// An order of the columns (input channels of a layer) in which N:M keeps more magnitude. For all pairs of stripes of M
/// columns the best division of their 2 M columns into two groups is found (all 35 of them for M = 4; for M > 4 the best
/// single swaps); improvements are applied from the largest down and pairs of changed stripes are looked at again, as in Pool &
/// Yu 2021, "Channel Permutations for N:M Sparsity" (NeurIPS). Their random escapes from the local optimum are replaced by
/// simulated annealing over swaps of two columns, which finds more in less time, and a second climb. Columns of a group stay in ascending order, groups are sorted by their first column, and a last
/// group of fewer than M columns stays last, filled up with zeros as in select_n_of_m().
///
///   magnitudes  [rows, columns], row-major, finite and not negative; a Conv's rows are its output channels and kernel places
///   cost        (columns / M)^2 / 2 pairs of 35 divisions over all rows, a few times; effort * 2e8 / rows swaps
///   memory      one copy of the matrix and a table of the pairs
ColumnPermutation permute_columns(std::span<const float> magnitudes, int64_t rows, int64_t columns, int n, int m,
                                  const PermutationSearch& search = {});

/// What N:M keeps of the matrix with its columns in that order.
double kept_magnitude(std::span<const float> magnitudes, int64_t rows, const std::vector<int64_t>& order, int n, int m);

}  // namespace sparsify
