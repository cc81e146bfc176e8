// The check of quotas: how many inodes count for each, against what their servers keep of it. A
// count that differs from the first pass is taken again by the server, while nothing changes.
#include <fmt/format.h>

#include "client/fsck.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {

Task<Status> Fsck::check_quotas() {
  using Message = wire::QuotaRecall;
  std::set<QuotaId> quotas;
  for (const auto& [where, files] : quota_files_) quotas.insert(where.second);
  for (const QuotaId quota : quotas) {
    for (std::size_t i = 0; i < client_.cluster().servers.size(); ++i) {
      const auto server = static_cast<ServerIndex>(i);
      Message::Request request{quota, Message::kReport, 0};
      BFS_CO_TRY(told, co_await client_.caller().call<Message>(server, request));
      if (told.body.files_used == quota_files_[{server, quota}]) continue;
      request.operation = repair_ ? Message::kRepair : Message::kCheck;
      const auto counted = co_await client_.caller().call<Message>(server, request);
      if (!counted && counted.error().code == Errc::busy) {
        ++report_.undecided;
        continue;
      }
      if (!counted) co_return std::unexpected(counted.error());
      if (counted->body.files_used == counted->body.files_counted) continue;
      FsckFinding finding{.kind = BENCHFS_FSCK_WRONG_QUOTA, .server = server};
      finding.text = fmt::format("quota {}: {} files are counted, and there are {}", quota,
                                 counted->body.files_used, counted->body.files_counted);
      report(std::move(finding), "set right", Status{});
    }
  }
  co_return Status{};
}

}  // namespace benchfs
