// Taking from the share, asking for more, giving back.
//
// As in storage/space.cc most writes cost a subtraction from `quick`, and only near the end it
// matters which of their blocks are there already. Words of the authority have numbers, as one that
// lowers the share may overtake one that raised it.
#include "quota/shares.hpp"

#include <algorithm>

#include "base/clock.hpp"
#include "base/log.hpp"

namespace benchfs {
namespace {

constexpr std::uint64_t kNoLimit = ~0ull;
/// Before a refusal: writes that end are waited for, as they may turn out to need less; then, for
/// about 15 ms, what is just being removed.
constexpr int kWritesMax = 50;
constexpr std::int64_t kNapNs = 1'000'000;
constexpr int kNapsMax = 4;
constexpr std::int64_t kTellEveryNs = 10'000'000'000;
/// Counts of inodes that others disturbed.
constexpr int kCountsMax = 5;

std::uint64_t less(std::uint64_t from, std::uint64_t what) {
  return from - std::min(from, what);
}

}  // namespace

QuotaShares::QuotaShares(Loop& loop, MetaStore& meta, ChunkStore& chunks, Space& space,
                         Offload& offload, QuotaPeers& peers, ServerIndex self)
    : loop_(loop),
      meta_(meta),
      chunks_(chunks),
      space_(space),
      offload_(offload),
      peers_(peers),
      self_(self) {}

QuotaShares::~QuotaShares() {
  for (const auto& [quota, share] : shares_) BFS_ASSERT(share.held == 0);
}

// ---- bytes ----

std::uint64_t QuotaShares::used(QuotaId quota, const Share& share) const {
  return chunks_.stored_for(quota) + share.held;
}

/// Counts anew if it has to.
bool QuotaShares::take(QuotaId quota, std::uint64_t bytes) {
  Share& share = shares_[quota];
  if (bytes > share.quick) {
    share.quick = share.bytes == kNoLimit ? kNoLimit : less(share.bytes, used(quota, share));
  }
  if (bytes > share.quick) return false;
  share.quick -= bytes;
  share.held += bytes;
  return true;
}

void QuotaShares::release(QuotaId quota, std::uint64_t bytes) {
  Share& share = shares_[quota];
  share.held -= bytes;
  share.released.wake_all();
}

Task<Result<QuotaShares::Hold>> QuotaShares::admit(InodeId inode, PieceList list) {
  const QuotaId quota = quota_of(inode);
  const std::uint64_t most = space_.most(list);
  if (take(quota, most)) co_return Hold(*this, quota, most);
  const auto needed = [this, inode, &list] { return space_.missing(inode, list); };
  auto admitting = admit_needed(quota, needed);
  co_return co_await admitting;
}

Task<Result<QuotaShares::Hold>> QuotaShares::admit_range(InodeId inode, std::uint64_t offset,
                                                         std::uint64_t bytes) {
  const auto needed = [this, inode, offset, bytes] { return space_.missing(inode, offset, bytes); };
  auto admitting = admit_needed(quota_of(inode), needed);
  co_return co_await admitting;
}

Task<Result<QuotaShares::Hold>> QuotaShares::admit_bytes(QuotaId quota, std::uint64_t bytes) {
  const auto needed = [bytes]() -> Result<std::uint64_t> { return bytes; };
  auto admitting = admit_needed(quota, needed);
  co_return co_await admitting;
}

/// `needed` says how many bytes it takes, as things are now.
template <class Needed>
Task<Result<QuotaShares::Hold>> QuotaShares::admit_needed(QuotaId quota, Needed needed) {
  int writes = 0, naps = 0;
  for (;;) {
    BFS_CO_TRY(bytes, needed());
    if (take(quota, bytes)) co_return Hold(*this, quota, bytes);
    auto asking = ask(quota, bytes, 0);
    BFS_CO_CHECK(asked, co_await asking);
    BFS_CO_TRY(bytes_now, needed());
    if (take(quota, bytes_now)) co_return Hold(*this, quota, bytes_now);
    Share& share = shares_[quota];
    if (share.held > 0 && writes < kWritesMax) {
      ++writes;
      auto ended = share.released.wait();
      co_await ended;
    } else if (naps < kNapsMax) {
      co_await loop_.sleep_ns(kNapNs << naps++);
    } else {
      co_return fail(Errc::quota, EDQUOT);
    }
  }
}

// ---- inodes ----

bool QuotaShares::file_left(QuotaId quota) const {
  const auto share = shares_.find(quota);
  return share != shares_.end() && meta_.quota_files(quota) < share->second.files;
}

Task<Status> QuotaShares::more_files(QuotaId quota) {
  for (int naps = 0;; ++naps) {
    if (file_left(quota)) co_return Status{};
    auto asking = ask(quota, 0, 1);
    BFS_CO_CHECK(asked, co_await asking);
    if (file_left(quota)) co_return Status{};
    if (naps == kNapsMax) co_return fail(Errc::quota, EDQUOT);
    co_await loop_.sleep_ns(kNapNs << naps);
  }
}

// ---- the authority ----

/// One question at a time for each quota; who comes meanwhile waits for that answer, and looks
/// again whether it is enough.
Task<Status> QuotaShares::ask(QuotaId quota, std::uint64_t bytes_more, std::uint64_t files_more) {
  while (shares_[quota].asking != nullptr) {
    const std::shared_ptr<Round> other = shares_[quota].asking;
    auto done = other->done.wait();
    co_await done;
    if (!other->outcome) co_return other->outcome;
    const Share& share = shares_[quota];
    const bool enough =
        files_more > 0 ? file_left(quota) : bytes_more <= less(share.bytes, used(quota, share));
    if (enough) co_return Status{};
  }
  const auto round = std::make_shared<Round>();
  shares_[quota].asking = round;
  auto asking = ask_once(quota, bytes_more, files_more);
  round->outcome = co_await asking;
  shares_[quota].asking.reset();
  round->done.set();
  co_return round->outcome;
}

Task<Status> QuotaShares::ask_once(QuotaId quota, std::uint64_t bytes_more,
                                   std::uint64_t files_more) {
  wire::QuotaShare::Request request{};
  {
    const Share& share = shares_[quota];
    request.id = quota;
    request.server = self_;
    request.seen = share.seen;
    request.bytes_used = used(quota, share);
    request.files_used = meta_.quota_files(quota);
    request.bytes_more = bytes_more;
    request.files_more = files_more;
    request.bytes_share = std::max(share.bytes, request.bytes_used);
    request.files_share = std::max(share.files, request.files_used);
  }
  auto asking = peers_.share(request);
  const auto answer = co_await asking;
  if (!answer) {
    Error error = answer.error();
    if (error.code == Errc::unreachable || error.code == Errc::timed_out) {
      Share& share = shares_[quota];
      const std::int64_t now = now_ns();
      if (share.told_ns == 0 || now - share.told_ns > kTellEveryNs) {
        share.told_ns = now;
        log_warn("quota {}: the share cannot grow: server {}: {}", quota, error.server,
                 to_text(error.code));
      }
      error.code = Errc::quota_unknown;
    }
    co_return std::unexpected(error);
  }
  Share& share = shares_[quota];
  if (answer->number < share.seen) co_return Status{};  // called back since: ask again
  share.seen = answer->number;
  share.bytes = answer->bytes_share;
  share.files = answer->files_share;
  share.quick = 0;
  co_return Status{};
}

Task<Result<wire::QuotaRecall::Reply>> QuotaShares::recall(wire::QuotaRecall::Request request) {
  using Message = wire::QuotaRecall;
  const bool known = request.operation >= Message::kReport && request.operation <= Message::kRepair;
  if (!known || request.id == 0 || request.id > kQuotaIdMax) co_return fail(Errc::bad_message);
  wire::QuotaRecall::Reply reply{};
  if (request.operation == Message::kCheck || request.operation == Message::kRepair) {
    auto counting = count_files(request.id, request.operation == Message::kRepair);
    BFS_CO_TRY(count, co_await counting);
    reply.files_counted = count.files;
    reply.files_used = count.kept;
    co_return reply;
  }
  Share& share = shares_[request.id];
  reply.bytes_used = chunks_.stored_for(request.id);
  reply.files_used = meta_.quota_files(request.id);
  if (request.operation == Message::kLower) {
    share.seen = std::max(share.seen, request.number);
    share.bytes = reply.bytes_used + share.held;
    share.files = reply.files_used;
    share.quick = 0;
  }
  reply.bytes_share = std::max(share.bytes, reply.bytes_used + share.held);
  reply.files_share = std::max(share.files, reply.files_used);
  co_return reply;
}

/// One by one, on the helper thread, while nothing changes.
Task<Result<QuotaShares::Count>> QuotaShares::count_files(QuotaId quota, bool repair) {
  for (int tries = 0; tries < kCountsMax; ++tries) {
    const std::uint64_t changes = meta_.quota_changes();
    auto settling = meta_.settled();
    BFS_CO_CHECK(settled, co_await settling);
    std::uint64_t counted = 0;
    Status scanned;
    const MetaStore& meta = meta_;
    auto call = offload_.run([&meta, quota, &counted, &scanned] {
      scanned = meta.scan_inodes(0, [&](const Inode& inode) {
        if (quota_of(inode.attributes.inode) == quota) ++counted;
        return true;
      });
    });
    co_await call;
    if (!scanned) co_return std::unexpected(scanned.error());
    if (meta_.quota_changes() != changes) continue;
    const Count count{counted, meta_.quota_files(quota)};
    if (repair && count.kept != counted) {
      meta_.set_quota_files(quota, counted);
      auto repairing = meta_.committed();
      BFS_CO_CHECK(repaired, co_await repairing);
    }
    co_return count;
  }
  co_return fail(Errc::busy);
}

}  // namespace benchfs
