#pragma once

namespace sparsify {

/// A criterion that scores below zero is one of these too; a class of its own, so that plugins that know nothing of it stay as they are.
class SignedScores {
 public:
  virtual ~SignedScores() = default;
  /// With the options that it was made with.
  virtual bool may_be_negative() const { return true; }
};

/// An allocator that cannot take scores below zero is one of these too.
class UnsignedScoresOnly {
 public:
  virtual ~UnsignedScoresOnly() = default;
};

}  // namespace sparsify
