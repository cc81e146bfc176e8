// A check of the whole file system, by one client over all servers: that every entry stands for an
// inode, every inode has the entries that it counts, and data belong to a file. See
// docs/adr/0016-fsck.md. Private to client/.
//
// Others may go on meanwhile. What a pass over all servers finds strange may be a change that it
// has seen one half of; so each such thing is looked at again, in an order in which only a real
// fault looks like one, and nothing of it may be part of a change that is not finished.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "benchfs.h"
#include "client/fsck_scan.hpp"

namespace benchfs {

struct FsckFinding {
  int kind = 0;  ///< BENCHFS_FSCK_...
  ServerIndex server = 0;
  InodeId inode = 0, parent = 0;
  std::string name{};
  std::string text{};     ///< what is wrong
  std::string outcome{};  ///< what was done about it, or why not; empty: nothing was to be done
  bool fixed = false;
};
struct FsckReport {
  std::vector<FsckFinding> findings;
  std::uint64_t inodes = 0, entries = 0, data_files = 0;
  std::uint64_t undecided = 0;  ///< things that changed whenever they were looked at
};

/// For one check. Takes 16 bytes of memory per inode, and some hundred per strange thing.
class Fsck {
 public:
  Fsck(Client& client, bool repair) : client_(client), scanner_(client), repair_(repair) {}
  /// The error of the first server that cannot be asked.
  Task<Result<FsckReport>> run();

 private:
  struct Known {
    InodeId inode;
    std::uint32_t type;  ///< S_IFREG, S_IFDIR, S_IFLNK
    std::int32_t left;   ///< entries that it should have, less those that were seen
  };
  struct SeenEntry {
    ServerIndex server;
    InodeId parent, inode;
    std::uint32_t type;
    std::string name;
  };
  struct SeenInode {
    ServerIndex server;
    InodeId inode;
  };
  /// An inode with all its entries.
  struct Suspect {
    wire::ScannedInode inode;
    std::uint64_t count = 0;
    std::vector<SeenEntry> entries{};  ///< of a directory
  };
  using Look = std::optional<wire::ScannedInode>;

  // The first pass, fsck.cc.
  Task<Status> read_inodes();
  Task<Status> read_entries();
  Task<Status> read_data();
  const Known* known(InodeId inode) const;
  bool strange(const SeenEntry& entry, const Known* inode) const;
  // A second look.
  Task<Status> check_entries();
  Task<Status> check_places();
  Task<Status> check_data();
  int judge(const SeenEntry& entry, const Look& inode, const Look& parent) const;
  Task<void> settle(SeenEntry entry, int kind, Look inode);
  Task<Status> mend(SeenEntry entry, int kind, std::uint32_t type);
  // Entries and link counts, fsck_links.cc.
  Task<Status> check_links();
  Task<Status> check_links_once(std::vector<InodeId>* open);
  Task<void> settle_links(Suspect suspect);
  Task<void> settle_directory(Suspect suspect);
  Task<Status> attach(wire::ScannedInode inode);
  Task<Result<InodeId>> lost_and_found();
  Task<Status> check_quotas();  ///< fsck_quotas.cc
  Task<Status> set_links(wire::ScannedInode inode, std::uint64_t links);

  Task<void> pause(unsigned round);
  ServerIndex owner(InodeId parent, std::string_view name) const;
  ServerIndex home(InodeId inode) const { return client_.map().home(inode); }
  std::string server_text(ServerIndex server) const;
  void report(FsckFinding finding, const char* done, const Status& mended);

  Client& client_;
  Scanner scanner_;
  bool repair_;
  FsckReport report_;
  std::vector<Known> known_;  ///< sorted by inode once all were read
  std::vector<SeenEntry> entries_;
  std::vector<SeenInode> misplaced_, data_;
  std::vector<InodeId> links_;  ///< to be counted
  std::map<std::pair<ServerIndex, QuotaId>, std::uint64_t> quota_files_;
  InodeId lost_and_found_ = 0;
};

/// "file", "directory", "symbolic link".
const char* inode_type_text(std::uint32_t mode);
/// Times that strange things are looked at before they count as undecided.
inline constexpr unsigned kFsckRounds = 6;

}  // namespace benchfs
