#pragma once

#include <string>
#include <vector>

namespace sparsify {

/// Makes a folder and those above it that are missing. When it goes, those of them in which nothing is go again: a run that
/// fails leaves no empty folders.
///
///   throws  ExhaustedError when the disk is full, ResourceError when a folder cannot be made
class NewFolders {
 public:
  explicit NewFolders(const std::string& folder);
  ~NewFolders();
  NewFolders(const NewFolders&) = delete;
  NewFolders& operator=(const NewFolders&) = delete;

 private:
  void remove_empty();

  std::vector<std::string> made_;  ///< outermost first
};

}  // namespace sparsify
