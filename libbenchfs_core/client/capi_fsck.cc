// The C interface: the check of the whole file system. What it finds is told when the session's
// lock is free again, so that the caller may use the session.
#include <fmt/format.h>

#include <algorithm>

#include "client/capi.hpp"
#include "client/fsck.hpp"

using namespace benchfs;
using namespace benchfs::capi;

namespace {

const char* word_of(int kind) {
  switch (kind) {
    case BENCHFS_FSCK_DANGLING_ENTRY:
      return "dangling-entry";
    case BENCHFS_FSCK_NO_DIRECTORY:
      return "no-directory";
    case BENCHFS_FSCK_MISPLACED_ENTRY:
      return "misplaced-entry";
    case BENCHFS_FSCK_WRONG_TYPE:
      return "wrong-type";
    case BENCHFS_FSCK_ORPHAN_INODE:
      return "orphan-inode";
    case BENCHFS_FSCK_WRONG_LINKS:
      return "wrong-links";
    case BENCHFS_FSCK_SECOND_ENTRY:
      return "second-entry";
    case BENCHFS_FSCK_MISPLACED_INODE:
      return "misplaced-inode";
    case BENCHFS_FSCK_WRONG_QUOTA:
      return "wrong-quota";
    default:
      return "orphan-data";
  }
}

}  // namespace

int benchfs_fsck(benchfs_t* fs, unsigned flags,
                 void (*found)(const struct benchfs_fsck_finding* finding, void* argument),
                 void* argument, struct benchfs_fsck_result* result) {
  return guarded([&]() -> int {
    if ((flags & ~static_cast<unsigned>(BENCHFS_FSCK_REPAIR)) != 0) {
      return set_error(EINVAL, fmt::format("fsck: unknown flags {:#x}", flags));
    }
    Client& client = client_of(fs);
    Fsck fsck(client, (flags & BENCHFS_FSCK_REPAIR) != 0);
    const auto report = result_of(client, [&] { return fsck.run(); });
    if (!report) return static_cast<int>(set_error(client, "fsck", "", report.error()));
    const auto& findings = report->findings;
    const auto corrected = std::count_if(findings.begin(), findings.end(),
                                         [](const FsckFinding& each) { return each.fixed; });
    *result = {report->inodes,
               report->entries,
               report->data_files,
               findings.size(),
               static_cast<std::uint64_t>(corrected),
               report->undecided};
    if (found == nullptr) return 0;
    for (const FsckFinding& each : findings) {
      const struct benchfs_fsck_finding finding {
        each.kind, each.server, each.fixed ? 1 : 0, each.inode, each.parent,
            word_of(each.kind), each.name.c_str(), each.text.c_str(), each.outcome.c_str()
      };
      found(&finding, argument);
    }
    return 0;
  });
}
