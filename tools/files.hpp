// What the commands on files share: the session, paths as users write them, error messages, and
// directories as lists.
#pragma once
#include <benchfs.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "command.hpp"

namespace benchfs::tools {

/// The name alone means the function of that name.
using Stat = struct benchfs_stat;
using Entry = struct benchfs_dirent;

/// Where the file system is: the options --registry and --servers.
struct Where {
  std::string registry, servers;
};
void add_where(CLI::App& app, Where& where);

/// A session, for one command, with the command's name for its messages. What goes wrong is said at
/// once, and remembered for the exit status.
class Files {
 public:
  /// Null if there is no cluster, which has been said.
  static std::unique_ptr<Files> connect(const std::string& command, const Where& where);
  ~Files();
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;
  operator benchfs_t*() const { return fs_; }

  /// "benchfs: ls: /a/b: No such file or directory"; `error` as a call returned it.
  void complain(const std::string& path, std::int64_t error);
  void complain(const std::string& path, const std::string& cause);
  /// kFailure if there was anything to complain about.
  int status() const { return failed_ ? kFailure : kOk; }

  /// With complaint.
  std::optional<Stat> stat(const std::string& path, bool follow = true);
  /// Whether it is one, without complaint.
  bool is_directory(const std::string& path) const;
  /// Calls `visit` for each entry as it comes; false, with complaint, if not all could be had.
  bool each_entry(const std::string& path, int flags,
                  const std::function<void(const Entry&)>& visit);
  /// Calls it for what fits; the number of entries that were looked at. See benchfs_opendir_match.
  std::uint64_t each_match(const std::string& path, const struct benchfs_match& match, int flags,
                           const std::function<void(const Entry&)>& visit);
  /// All entries, as a list sorted by name; without hidden names unless `all`.
  std::vector<Entry> sorted(const std::string& path, int flags, bool all);
  /// Empty if it cannot be had.
  std::string link_target(const std::string& path) const;
  /// Extended attributes, without complaint: 0 or a negative errno.
  int xattr_names(const std::string& path, int flags, std::vector<std::string>& names) const;
  int xattr(const std::string& path, const std::string& name, int flags, std::string& value) const;

 private:
  Files(std::string command, benchfs_t* fs) : command_(std::move(command)), fs_(fs) {}
  std::string command_;
  benchfs_t* fs_;
  bool failed_ = false;
};

/// The cause of a negative errno that a call of benchfs.h has just given to this thread.
std::string cause_of(std::int64_t error);
/// "benchfs:/a" and "/a" name the same file.
std::string path_of(const std::string& word);
std::string joined(const std::string& directory, std::string_view name);
std::string base_name(const std::string& path);
/// "-rw-r--r--"
std::string mode_text(std::uint32_t mode);
/// "file", "directory", "link"
const char* type_text(std::uint32_t mode);
/// Bytes that a terminal would take for commands are shown as '?', where output is a terminal.
std::string shown(std::string_view name);
/// {"path": ..., "type": ..., "inode": ..., ...}
std::string json_object(const std::string& path, const Stat& st, const std::string& target);
/// Writes to standard output; false if nobody reads it any more, or it is full.
bool put_out(std::string_view text);

/// A command on files: its session is opened when it runs. `run` gets the words of the command line
/// that are not options.
Command files_command(CLI::App* app, std::shared_ptr<Where> where,
                      std::shared_ptr<std::vector<std::string>> words, std::size_t words_min,
                      std::function<int(Files& files, const std::vector<std::string>& words)> run);

}  // namespace benchfs::tools
