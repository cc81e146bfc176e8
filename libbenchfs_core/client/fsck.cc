// The check: a pass over everything on all servers, and a second look at what was strange in it.
//
// Why a second look is enough: inode numbers are never used again, so an inode that is missing
// stays so. An entry that is there before and after its inode (or its directory) was found missing
// is wrong, unless a rename or link that is not finished holds it; and data are wrong that are
// there after their inode was found missing and no drop of them is left to be carried out.
#include "client/fsck.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "placement/slot_map.hpp"

namespace benchfs {
namespace {

/// Numbers as all tools show them.
std::string where(const std::string& name, InodeId parent) {
  return fmt::format("entry \"{}\" of directory {}", name, parent);
}

}  // namespace

const char* inode_type_text(std::uint32_t mode) {
  return S_ISDIR(mode) ? "directory" : S_ISLNK(mode) ? "symbolic link" : "file";
}

Task<Result<FsckReport>> Fsck::run() {
  BFS_CO_CHECK(inodes, co_await read_inodes());
  BFS_CO_CHECK(entries, co_await read_entries());
  BFS_CO_CHECK(data, co_await read_data());
  known_.clear();
  known_.shrink_to_fit();
  BFS_CO_CHECK(places_checked, co_await check_places());
  BFS_CO_CHECK(entries_checked, co_await check_entries());
  BFS_CO_CHECK(links_checked, co_await check_links());
  BFS_CO_CHECK(data_checked, co_await check_data());
  BFS_CO_CHECK(quotas_checked, co_await check_quotas());
  if (repair_) client_.forget_all();
  co_return std::move(report_);
}

// ---- the first pass ----

Task<Status> Fsck::read_inodes() {
  auto reading = scanner_.inodes([this](ServerIndex server, const wire::ScannedInode& inode) {
    ++report_.inodes;
    if (const QuotaId quota = quota_of(inode.inode); quota != 0) ++quota_files_[{server, quota}];
    if (home(inode.inode) != server) {
      misplaced_.push_back({server, inode.inode});
      return;
    }
    const bool directory = S_ISDIR(inode.mode);
    const std::int32_t expected =
        directory ? (inode.inode == kRootInode ? 0 : 1) : static_cast<std::int32_t>(inode.nlink);
    known_.push_back({inode.inode, inode.mode & S_IFMT, expected});
    if (directory ? inode.nlink != 2 : inode.nlink == 0) links_.push_back(inode.inode);
  });
  BFS_CO_CHECK(read, co_await reading);
  std::sort(known_.begin(), known_.end(),
            [](const Known& a, const Known& b) { return a.inode < b.inode; });
  co_return Status{};
}

const Fsck::Known* Fsck::known(InodeId inode) const {
  const auto found = std::lower_bound(known_.begin(), known_.end(), inode,
                                      [](const Known& a, InodeId b) { return a.inode < b; });
  return found != known_.end() && found->inode == inode ? &*found : nullptr;
}

bool Fsck::strange(const SeenEntry& entry, const Known* inode) const {
  if (inode == nullptr || inode->type != entry.type) return true;
  const Known* parent = known(entry.parent);
  if (parent == nullptr || !S_ISDIR(parent->type)) return true;
  return owner(entry.parent, entry.name) != entry.server;
}

Task<Status> Fsck::read_entries() {
  auto reading = scanner_.entries(
      [this](ServerIndex server, const wire::ScannedEntry& from, std::string_view name) {
        ++report_.entries;
        const SeenEntry entry{server, from.parent, from.inode, from.type, std::string(name)};
        const Known* inode = known(entry.inode);
        if (inode != nullptr) --const_cast<Known*>(inode)->left;
        if (strange(entry, inode)) entries_.push_back(entry);
      });
  BFS_CO_CHECK(read, co_await reading);
  for (const Known& inode : known_) {
    if (inode.left != 0) links_.push_back(inode.inode);
  }
  co_return Status{};
}

Task<Status> Fsck::read_data() {
  auto reading = scanner_.data([this](ServerIndex server, InodeId number) {
    ++report_.data_files;
    const Known* inode = known(number);
    if (inode == nullptr || !S_ISREG(inode->type)) data_.push_back({server, number});
  });
  co_return co_await reading;
}

// ---- the second look ----

Task<void> Fsck::pause(unsigned round) {
  if (round == 0) co_return;
  auto sleeping = client_.loop().sleep_ns(std::int64_t{20'000'000} << round);
  co_await sleeping;
}

ServerIndex Fsck::owner(InodeId parent, std::string_view name) const {
  return client_.map().owner(entry_slot(parent, name));
}

std::string Fsck::server_text(ServerIndex server) const {
  return fmt::format("server {}", server);
}

/// `done`: what a repair that went well has done; null: nothing can be done.
void Fsck::report(FsckFinding finding, const char* done, const Status& mended) {
  if (repair_) {
    finding.fixed = done != nullptr && mended.has_value();
    if (finding.fixed) {
      finding.outcome = done;
    } else {
      finding.outcome = "not corrected: ";
      finding.outcome += done == nullptr ? "there is no way to" : to_text(mended.error().code);
    }
  }
  report_.findings.push_back(std::move(finding));
}

int Fsck::judge(const SeenEntry& entry, const Look& inode, const Look& parent) const {
  if (!inode) return BENCHFS_FSCK_DANGLING_ENTRY;
  if (!parent || !S_ISDIR(parent->mode)) return BENCHFS_FSCK_NO_DIRECTORY;
  if (owner(entry.parent, entry.name) != entry.server) return BENCHFS_FSCK_MISPLACED_ENTRY;
  if ((inode->mode & S_IFMT) != entry.type) return BENCHFS_FSCK_WRONG_TYPE;
  return 0;
}

Task<Status> Fsck::check_entries() {
  for (unsigned round = 0; round < kFsckRounds && !entries_.empty(); ++round) {
    auto pausing = pause(round);
    co_await pausing;
    std::vector<Look> inodes, parents;
    for (const SeenEntry& entry : entries_) {
      auto looking = scanner_.inode(entry.inode);
      BFS_CO_TRY(inode, co_await looking);
      inodes.push_back(inode);
      auto looking_up = scanner_.inode(entry.parent);
      BFS_CO_TRY(parent, co_await looking_up);
      parents.push_back(parent);
    }
    auto asking = scanner_.intents();
    BFS_CO_TRY(intents, co_await asking);
    std::vector<SeenEntry> open;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      SeenEntry& entry = entries_[i];
      auto looking = scanner_.entry(entry.server, entry.parent, entry.name);
      BFS_CO_TRY(now, co_await looking);
      if (!now || now->inode != entry.inode) continue;
      entry.type = now->type;
      const int kind = judge(entry, inodes[i], parents[i]);
      if (kind == 0) continue;
      if (intents.has(entry.inode)) {
        open.push_back(entry);
        continue;
      }
      auto settling = settle(entry, kind, inodes[i]);
      co_await settling;
    }
    entries_ = std::move(open);
  }
  report_.undecided += entries_.size();
  co_return Status{};
}

Task<void> Fsck::settle(SeenEntry entry, int kind, Look inode) {
  FsckFinding finding{.kind = kind,
                      .server = entry.server,
                      .inode = entry.inode,
                      .parent = entry.parent,
                      .name = entry.name};
  const std::string what = where(entry.name, entry.parent);
  const char* done = "removed";
  switch (kind) {
    case BENCHFS_FSCK_DANGLING_ENTRY:
      finding.text = fmt::format("{}: its inode {} does not exist", what, entry.inode);
      break;
    case BENCHFS_FSCK_NO_DIRECTORY:
      finding.text = fmt::format("{}, inode {}: there is no such directory", what, entry.inode);
      break;
    case BENCHFS_FSCK_MISPLACED_ENTRY:
      finding.text = fmt::format("{}, inode {}: belongs on {}", what, entry.inode,
                                 server_text(owner(entry.parent, entry.name)));
      done = "moved there";
      break;
    default:
      finding.text = fmt::format("{}: inode {} is a {}, and not a {}", what, entry.inode,
                                 inode_type_text(inode->mode), inode_type_text(entry.type));
      done = "type corrected";
  }
  Status mended;
  if (repair_) {
    auto mending = mend(entry, kind, inode ? inode->mode & S_IFMT : entry.type);
    mended = co_await mending;
    if (inode) links_.push_back(entry.inode);  // it may have lost its last entry
  }
  report(std::move(finding), done, mended);
}

Task<Status> Fsck::mend(SeenEntry entry, int kind, std::uint32_t type) {
  using Message = wire::Repair;
  Message::Request request{entry.inode, entry.parent, Message::kPutEntry, type, 0, 0};
  if (kind == BENCHFS_FSCK_WRONG_TYPE) {
    auto putting = scanner_.repair(entry.server, request, entry.name);
    co_return co_await putting;
  }
  if (kind == BENCHFS_FSCK_MISPLACED_ENTRY) {
    auto putting = scanner_.repair(owner(entry.parent, entry.name), request, entry.name);
    const Status put = co_await putting;
    // If another has that name, which can be looked up, this one goes: nobody could.
    if (!put && put.error().code != Errc::exists) co_return put;
  }
  request.operation = Message::kRemoveEntry;
  auto removing = scanner_.repair(entry.server, request, entry.name);
  co_return co_await removing;
}

Task<Status> Fsck::check_places() {
  for (const SeenInode seen : misplaced_) {
    auto looking = scanner_.inode(seen.server, seen.inode);
    BFS_CO_TRY(now, co_await looking);
    if (!now) continue;
    FsckFinding finding{
        .kind = BENCHFS_FSCK_MISPLACED_INODE, .server = seen.server, .inode = seen.inode};
    finding.text = fmt::format("inode {}, a {}: belongs on {}", seen.inode,
                               inode_type_text(now->mode), server_text(home(seen.inode)));
    report(std::move(finding), nullptr, Status{});
  }
  co_return Status{};
}

Task<Status> Fsck::check_data() {
  for (unsigned round = 0; round < kFsckRounds && !data_.empty(); ++round) {
    auto pausing = pause(round);
    co_await pausing;
    std::vector<Look> inodes;
    for (const SeenInode seen : data_) {
      auto looking = scanner_.inode(seen.inode);
      BFS_CO_TRY(inode, co_await looking);
      inodes.push_back(inode);
    }
    auto asking = scanner_.intents();
    BFS_CO_TRY(intents, co_await asking);
    std::vector<SeenInode> open;
    for (std::size_t i = 0; i < data_.size(); ++i) {
      const SeenInode seen = data_[i];
      if (inodes[i] && S_ISREG(inodes[i]->mode)) continue;
      auto looking = scanner_.data_of(seen.server, seen.inode);
      BFS_CO_TRY(data, co_await looking);
      if (!data) continue;
      if (intents.has(seen.inode)) {
        open.push_back(seen);
        continue;
      }
      FsckFinding finding{
          .kind = BENCHFS_FSCK_ORPHAN_DATA, .server = seen.server, .inode = seen.inode};
      finding.text = fmt::format("{} bytes of data of inode {}, which {}", data->bytes, seen.inode,
                                 inodes[i] ? "is not a file" : "does not exist");
      Status mended;
      if (repair_) {
        auto dropping = client_.drop_data(seen.server, seen.inode);
        mended = co_await dropping;
      }
      report(std::move(finding), "removed", mended);
    }
    data_ = std::move(open);
  }
  report_.undecided += data_.size();
  co_return Status{};
}

}  // namespace benchfs
