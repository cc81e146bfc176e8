// The check of entries against link counts. Entries do not tell what they were before, so whoever
// has too few or too many is counted once more, by another pass over all entries, between two looks
// at the inode and at what is not finished. If the inode has not changed, it is part of no
// unfinished change, and no server has begun or ended a rename or link in between, then that is how
// it is: other changes of entries change the inode as well.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "client/fsck.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {
namespace {

constexpr std::uint32_t kDirectoryLinks = 2;  // as every directory here counts
constexpr const char* kLostAndFound = "/lost+found";

std::uint64_t wanted_entries(const wire::ScannedInode& inode) {
  if (S_ISDIR(inode.mode)) return inode.inode == kRootInode ? 0 : 1;
  return inode.nlink;
}

bool right(const wire::ScannedInode& inode, std::uint64_t count) {
  if (S_ISDIR(inode.mode) && inode.nlink != kDirectoryLinks) return false;
  const bool missing = count == 0 && inode.inode != kRootInode;
  return count == wanted_entries(inode) && !missing;
}

}  // namespace

Task<Status> Fsck::check_links() {
  std::vector<InodeId> open = std::move(links_);
  std::sort(open.begin(), open.end());
  open.erase(std::unique(open.begin(), open.end()), open.end());
  for (unsigned round = 0; round < kFsckRounds && !open.empty(); ++round) {
    auto pausing = pause(round);
    co_await pausing;
    auto checking = check_links_once(&open);
    BFS_CO_CHECK(checked, co_await checking);
  }
  report_.undecided += open.size();
  co_return Status{};
}

/// Leaves those in `open` that have to be looked at again.
Task<Status> Fsck::check_links_once(std::vector<InodeId>* open) {
  auto asking = scanner_.intents();
  BFS_CO_TRY(before, co_await asking);
  std::vector<Suspect> suspects;
  for (const InodeId inode : *open) {
    auto looking = scanner_.inode(inode);
    BFS_CO_TRY(now, co_await looking);
    if (now) suspects.push_back({.inode = *now});
  }
  auto counting = scanner_.entries([&suspects](ServerIndex server, const wire::ScannedEntry& entry,
                                               std::string_view name) {
    const auto found =
        std::lower_bound(suspects.begin(), suspects.end(), entry.inode,
                         [](const Suspect& a, InodeId b) { return a.inode.inode < b; });
    if (found == suspects.end() || found->inode.inode != entry.inode) return;
    ++found->count;
    if (!S_ISDIR(found->inode.mode)) return;
    found->entries.push_back({server, entry.parent, entry.inode, entry.type, std::string(name)});
  });
  BFS_CO_CHECK(counted, co_await counting);
  auto asking_again = scanner_.intents();
  BFS_CO_TRY(after, co_await asking_again);
  const bool moving = before.changes != after.changes;
  open->clear();
  for (const Suspect& suspect : suspects) {
    const InodeId inode = suspect.inode.inode;
    auto looking = scanner_.inode(inode);
    BFS_CO_TRY(now, co_await looking);
    if (!now || right(suspect.inode, suspect.count)) continue;
    // Open still, and to go with its last close.
    const bool nameless = S_ISREG(now->mode) && now->nlink == 0 && suspect.count == 0;
    if (nameless && before.has(inode) && after.has(inode)) continue;
    const bool same = now->nlink == suspect.inode.nlink && now->ctime_ns == suspect.inode.ctime_ns;
    if (moving || !same || before.has(inode) || after.has(inode)) {
      open->push_back(inode);
      continue;
    }
    auto settling = settle_links(suspect);
    co_await settling;
  }
  co_return Status{};
}

Task<void> Fsck::settle_links(Suspect suspect) {
  const wire::ScannedInode inode = suspect.inode;
  const char* type = inode_type_text(inode.mode);
  FsckFinding finding{.server = home(inode.inode), .inode = inode.inode};
  Status mended;
  if (suspect.count == 0 && inode.inode != kRootInode) {
    finding.kind = BENCHFS_FSCK_ORPHAN_INODE;
    finding.text = fmt::format("{} {} has no entry", type, inode.inode);
    if (repair_) {
      auto attaching = attach(inode);
      mended = co_await attaching;
    }
    report(std::move(finding), "put into /lost+found", mended);
    co_return;
  }
  if (S_ISDIR(inode.mode)) {
    auto settling = settle_directory(std::move(suspect));
    co_await settling;
    co_return;
  }
  finding.kind = BENCHFS_FSCK_WRONG_LINKS;
  finding.text = fmt::format("{} {}: link count is {}, entries are {}", type, inode.inode,
                             inode.nlink, suspect.count);
  if (repair_) {
    auto setting = set_links(inode, suspect.count);
    mended = co_await setting;
  }
  report(std::move(finding), "counted anew", mended);
}

/// One of its entries stays: the first by directory and name.
Task<void> Fsck::settle_directory(Suspect suspect) {
  const wire::ScannedInode inode = suspect.inode;
  std::vector<SeenEntry>& entries = suspect.entries;
  std::sort(entries.begin(), entries.end(), [](const SeenEntry& a, const SeenEntry& b) {
    return a.parent != b.parent ? a.parent < b.parent : a.name < b.name;
  });
  for (std::size_t i = wanted_entries(inode); i < entries.size(); ++i) {
    const SeenEntry& entry = entries[i];
    FsckFinding finding{.kind = BENCHFS_FSCK_SECOND_ENTRY,
                        .server = entry.server,
                        .inode = inode.inode,
                        .parent = entry.parent,
                        .name = entry.name};
    finding.text = fmt::format("entry \"{}\" of directory {}: directory {} has another place",
                               entry.name, entry.parent, inode.inode);
    Status mended;
    if (repair_) {
      const wire::Repair::Request request{
          inode.inode, entry.parent, wire::Repair::kRemoveEntry, entry.type, 0, 0};
      auto removing = scanner_.repair(entry.server, request, entry.name);
      mended = co_await removing;
    }
    report(std::move(finding), "removed", mended);
  }
  if (inode.nlink == kDirectoryLinks) co_return;
  FsckFinding finding{
      .kind = BENCHFS_FSCK_WRONG_LINKS, .server = home(inode.inode), .inode = inode.inode};
  finding.text = fmt::format("directory {}: link count is {}, and not {}", inode.inode, inode.nlink,
                             kDirectoryLinks);
  Status mended;
  if (repair_) {
    auto setting = set_links(inode, kDirectoryLinks);
    mended = co_await setting;
  }
  report(std::move(finding), "counted anew", mended);
}

// ---- repairs ----

Task<Status> Fsck::set_links(wire::ScannedInode inode, std::uint64_t links) {
  const wire::Repair::Request request{
      inode.inode, 0, wire::Repair::kSetLinks, 0, static_cast<std::uint32_t>(links), inode.nlink};
  auto setting = scanner_.repair(home(inode.inode), request, {});
  co_return co_await setting;
}

Task<Result<InodeId>> Fsck::lost_and_found() {
  if (lost_and_found_ != 0) co_return lost_and_found_;
  auto making = client_.mkdir(kLostAndFound, 0700);
  const Outcome made = co_await making;
  if (!made && made.error().code != Errc::exists) co_return std::unexpected(made.error());
  auto looking = client_.stat(kLostAndFound, false);
  BFS_CO_TRY(attributes, co_await looking);
  if (!S_ISDIR(attributes.mode)) co_return fail(Errc::not_directory);
  lost_and_found_ = attributes.inode;
  co_return lost_and_found_;
}

/// Its number is its name there, so that nothing else has it.
Task<Status> Fsck::attach(wire::ScannedInode inode) {
  auto finding_place = lost_and_found();
  BFS_CO_TRY(directory, co_await finding_place);
  const std::string name = fmt::format("#{}", inode.inode);
  const std::uint32_t links = S_ISDIR(inode.mode) ? kDirectoryLinks : 1;
  // Counted first, as with every link.
  if (inode.nlink != links) {
    auto setting = set_links(inode, links);
    BFS_CO_CHECK(set, co_await setting);
  }
  const wire::Repair::Request request{inode.inode,         directory, wire::Repair::kPutEntry,
                                      inode.mode & S_IFMT, 0,         0};
  auto putting = scanner_.repair(owner(directory, name), request, name);
  co_return co_await putting;
}

}  // namespace benchfs
