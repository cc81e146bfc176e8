// Copies trees of files between two sides: what `cp`, `put` and `get` share.
#pragma once
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "file_tree.hpp"
#include "progress.hpp"
#include "workers.hpp"

namespace benchfs::tools {

struct CopyOptions {
  bool recursive = false;
  bool preserve = false;  ///< mode, times, and owner where that is allowed
  bool resume = false;    ///< only what is not there yet
  bool verify = false;    ///< read back and compare checksums
  bool progress = false;
  unsigned jobs = 4;  ///< pieces in flight
};

/// The path and what it is, of a file that is to be copied.
struct CopySource {
  FileTree* tree = nullptr;
  std::string path;
  Node node;
};

/// One command's copying. What goes wrong is told to `files`, and the rest goes on.
class Copier {
 public:
  Copier(Files& files, const CopyOptions& options);

  /// Copies `path` to `target`, which need not exist: for a directory, what is in the one comes
  /// into the other.
  void copy(FileTree& from, const std::string& path, FileTree& to, const std::string& target);
  /// From the beginning to the end of what has no size, such as a pipe; `name` is for messages.
  void copy_stream(TreeFile& source, const std::string& name, FileTree& to,
                   const std::string& target, std::uint32_t mode);
  void copy_stream(FileTree& from, const std::string& path, TreeFile& target,
                   const std::string& name);
  /// Waits for all copying, and completes the directories.
  void finish();

  // ---- for the files that are being copied, by any thread ----
  const CopyOptions& options() const { return options_; }
  Workers& workers() { return workers_; }
  Progress& progress() { return progress_; }
  std::uint32_t umask() const { return umask_; }
  void complain(const FileTree& tree, const std::string& path, std::int64_t error);
  void complain(const std::string& shown, const std::string& cause);
  /// Extended attributes, owner, mode and times, as far as they are wanted.
  void keep_attributes(const CopySource& source, FileTree& to, const std::string& target);

 private:
  struct Directory {
    CopySource source;
    FileTree* to;
    std::string target;
    bool made;
  };
  void visit(CopySource source, FileTree& to, const std::string& target, bool given);
  void copy_directory(const CopySource& source, FileTree& to, const std::string& target);
  void copy_link(const CopySource& source, FileTree& to, const std::string& target);
  bool keep_xattrs(const CopySource& source, FileTree& to, const std::string& target);
  struct Stream {
    TreeFile* file;
    std::string name;
    const FileTree* tree;  ///< null: errors are plain errnos
  };
  bool pump(const Stream& source, const Stream& target, std::vector<std::uint32_t>* checksums);
  bool same_as_written(const Stream& written, const std::vector<std::uint32_t>& checksums);

  Files& files_;
  CopyOptions options_;
  std::uint32_t umask_;
  std::mutex mutex_;  ///< of complaints
  Progress progress_;
  std::vector<Directory> directories_;  ///< in the order in which they were met
  std::vector<Node> roots_;             ///< directories that are being copied into
  Workers workers_;
};

inline constexpr std::size_t kCopyBlockBytes = 8u << 20;

/// Copies one regular file, with the help of other workers if it is large. Called by a worker.
void copy_file(Copier& copier, CopySource source, FileTree& to, const std::string& target);

}  // namespace benchfs::tools
