// Handing out shares and calling them back.
//
// A server that asks gets what it needs and a part of what is left, the smaller the more servers
// there are and the less there is. If not even what it needs is left, all others give back what
// they do not use first; so nothing is refused that fits into the limit. A server that does not
// answer keeps its share.
#include "quota/authority.hpp"

#include <algorithm>
#include <optional>

#include "base/clock.hpp"
#include "base/log.hpp"

namespace benchfs {
namespace {

constexpr std::uint64_t kNoLimit = ~0ull;
constexpr std::int64_t kTellEveryNs = 10'000'000'000;

std::uint64_t less(std::uint64_t from, std::uint64_t what) {
  return from - std::min(from, what);
}
std::uint64_t plus(std::uint64_t a, std::uint64_t b) {
  return a > kNoLimit - b ? kNoLimit : a + b;
}

std::uint64_t bytes_limit(const QuotaLimits& limits) {
  return limits.bytes == 0 ? kNoLimit : limits.bytes;
}
/// The directory that has the quota counts, too, but not for its user.
std::uint64_t files_limit(const QuotaLimits& limits) {
  return limits.files == 0 ? kNoLimit : plus(limits.files, 1);
}

/// The new share of who has `share` and needs `target` in all.
std::uint64_t raised(std::uint64_t share, std::uint64_t target, std::uint64_t limit,
                     std::uint64_t given, std::uint64_t servers) {
  if (limit == kNoLimit) return kNoLimit;
  if (target <= share) return share;
  const std::uint64_t needed = target - share, left = less(limit, given);
  if (needed > left) return share;
  const std::uint64_t rest = left - needed;
  return target + (servers == 1 ? rest : rest / (2 * servers));
}

}  // namespace

QuotaAuthority::QuotaAuthority(MetaStore& store, const SlotMap& map, QuotaPeers& peers,
                               Options options)
    : store_(store),
      map_(map),
      peers_(peers),
      options_(options),
      number_(static_cast<std::uint64_t>(wall_ns())) {}

Status QuotaAuthority::start() {
  BFS_TRY(stored, store_.quotas());
  for (const QuotaLimits& limits : stored) {
    auto quota = std::make_unique<Quota>();
    quota->limits = limits;
    quotas_[limits.id] = std::move(quota);
  }
  return {};
}

std::vector<ServerIndex> QuotaAuthority::servers() const {
  std::vector<ServerIndex> all;
  for (std::uint32_t i = 0; i < map_.index_count(); ++i) {
    if (map_.contains(static_cast<ServerIndex>(i))) all.push_back(static_cast<ServerIndex>(i));
  }
  return all;
}

QuotaAuthority::Quota* QuotaAuthority::find(QuotaId id) {
  const auto found = quotas_.find(id);
  return found == quotas_.end() ? nullptr : found->second.get();
}

// ---- shares ----

/// All servers but one (-1: all) give back what they do not use; the error of the first that does
/// not answer, whose share stays.
Task<Status> QuotaAuthority::recall(Quota* quota, int but) {
  struct Asked {
    ServerIndex server;
    Task<Result<wire::QuotaRecall::Reply>> task;
  };
  std::vector<Asked> asked;
  for (const ServerIndex server : servers()) {
    if (server == but) continue;
    const std::uint64_t number = ++number_;
    quota->given[server].number = number;
    asked.push_back(
        {server, peers_.recall(server, {quota->limits.id, wire::QuotaRecall::kLower, number})});
  }
  Status outcome;
  for (Asked& one : asked) {
    const auto answer = co_await one.task;
    if (answer) {
      Given& given = quota->given[one.server];
      given.bytes = answer->bytes_share;
      given.files = answer->files_share;
    } else if (outcome) {
      outcome = fail(answer.error().code, answer.error().native, one.server);
    }
  }
  co_return outcome;
}

/// Once after a start.
Task<Status> QuotaAuthority::learn(Quota* quota, int but) {
  if (quota->known) co_return Status{};
  auto recalling = recall(quota, but);
  const Status recalled = co_await recalling;
  if (!recalled) {
    const std::int64_t now = now_ns();
    if (quota->told_ns == 0 || now - quota->told_ns > kTellEveryNs) {
      quota->told_ns = now;
      log_warn("nothing can be handed out of quota {} before server {} says what it has of it: {}",
               quota->limits.id, recalled.error().server, to_text(recalled.error().code));
    }
    co_return recalled;
  }
  quota->known = true;
  co_return Status{};
}

Task<Result<wire::QuotaShare::Reply>> QuotaAuthority::share(wire::QuotaShare::Request request) {
  if (map_.home(kRootInode) != options_.self) co_return fail(Errc::stale_epoch);
  const bool valid = request.server < map_.index_count() &&
                     map_.contains(static_cast<ServerIndex>(request.server)) && request.id != 0 &&
                     request.id <= kQuotaIdMax;
  if (!valid) co_return fail(Errc::bad_message);
  const auto asker = static_cast<ServerIndex>(request.server);
  Quota* quota = find(request.id);
  // Limits are stored before anything counts for them.
  if (quota == nullptr) co_return wire::QuotaShare::Reply{request.seen, kNoLimit, kNoLimit};
  co_await quota->turn.acquire();
  const Turn turn(*quota);
  auto learning = learn(quota, asker);
  BFS_CO_CHECK(known, co_await learning);

  Given& given = quota->given[asker];
  number_ = std::max(number_, request.seen);
  if (request.seen >= given.number) {  // it knows better: the last answer may have been lost
    given.bytes = request.bytes_share;
    given.files = request.files_share;
  } else {
    given.bytes = std::max(given.bytes, request.bytes_used);
    given.files = std::max(given.files, request.files_used);
  }
  const std::uint64_t bytes_target = plus(request.bytes_used, request.bytes_more);
  const std::uint64_t files_target = plus(request.files_used, request.files_more);
  for (bool recalled = false;; recalled = true) {
    Use sum;
    for (const auto& [server, one] : quota->given) {
      sum.bytes = plus(sum.bytes, one.bytes);
      sum.files = plus(sum.files, one.files);
    }
    const std::size_t count = servers().size();
    const std::uint64_t bytes = raised(given.bytes, request.bytes_more > 0 ? bytes_target : 0,
                                       bytes_limit(quota->limits), sum.bytes, count);
    const std::uint64_t files = raised(given.files, request.files_more > 0 ? files_target : 0,
                                       files_limit(quota->limits), sum.files, count);
    const bool enough = (request.bytes_more == 0 || bytes >= bytes_target) &&
                        (request.files_more == 0 || files >= files_target);
    if (enough || recalled) {
      given.bytes = bytes;
      given.files = files;
      break;
    }
    auto recalling = recall(quota, asker);
    const Status all = co_await recalling;
    if (!all) {
      log_debug("quota {}: server {} keeps its share: {}", request.id, all.error().server,
                to_text(all.error().code));
    }
  }
  given.number = ++number_;
  co_return wire::QuotaShare::Reply{given.number, given.bytes, given.files};
}

// ---- limits ----

Task<Result<wire::Quota::Reply>> QuotaAuthority::quota(wire::Quota::Request request) {
  using Message = wire::Quota;
  if (map_.home(kRootInode) != options_.self) co_return fail(Errc::stale_epoch);
  if (request.operation < Message::kGet || request.operation > Message::kMake) {
    co_return fail(Errc::bad_message);
  }
  if (request.operation == Message::kMake) {
    co_await making_.acquire();
    auto making = make(request);
    const auto made = co_await making;
    making_.release();
    co_return made;
  }
  if (find(request.id) == nullptr) co_return fail(Errc::not_found);
  auto work = request.operation == Message::kGet ? get(request.id) : set(request);
  co_return co_await work;
}

/// What counts for it, on all servers.
Task<Result<QuotaAuthority::Use>> QuotaAuthority::use(QuotaId id) {
  struct Asked {
    ServerIndex server;
    Task<Result<wire::QuotaRecall::Reply>> task;
  };
  std::vector<Asked> asked;
  for (const ServerIndex server : servers()) {
    asked.push_back({server, peers_.recall(server, {id, wire::QuotaRecall::kReport, 0})});
  }
  Use sum;
  std::optional<Error> failed;
  for (Asked& one : asked) {
    const auto answer = co_await one.task;
    if (answer) {
      sum.bytes += answer->bytes_used;
      sum.files += answer->files_used;
    } else if (!failed) {
      failed = Error{answer.error().code, answer.error().native, one.server};
    }
  }
  if (failed) co_return std::unexpected(*failed);
  co_return sum;
}

Task<Result<wire::Quota::Reply>> QuotaAuthority::get(QuotaId id) {
  auto asking = use(id);
  BFS_CO_TRY(sum, co_await asking);
  const QuotaLimits& limits = find(id)->limits;
  co_return wire::Quota::Reply{id, 0, limits.bytes, limits.files, sum.bytes, less(sum.files, 1)};
}

Task<Result<wire::Quota::Reply>> QuotaAuthority::set(wire::Quota::Request request) {
  Quota* quota = find(request.id);
  co_await quota->turn.acquire();
  const Turn turn(*quota);
  QuotaLimits limits = quota->limits;
  if (request.bytes_limit != wire::Quota::kKeep) limits.bytes = request.bytes_limit;
  if (request.files_limit != wire::Quota::kKeep) limits.files = request.files_limit;
  const bool lower = bytes_limit(limits) < bytes_limit(quota->limits) ||
                     files_limit(limits) < files_limit(quota->limits);
  if (lower) {  // from here on every server asks anew, or else the old limits stay
    auto recalling = recall(quota, -1);
    BFS_CO_CHECK(recalled, co_await recalling);
    quota->known = true;
  }
  auto storing = store(limits);
  BFS_CO_CHECK(stored, co_await storing);
  quota->limits = limits;
  co_return wire::Quota::Reply{request.id, 0, limits.bytes, limits.files, 0, 0};
}

Task<Status> QuotaAuthority::store(QuotaLimits limits) {
  store_.put_quota(limits);
  auto syncing = store_.sync();
  co_return co_await syncing;
}

Task<Result<wire::Quota::Reply>> QuotaAuthority::make(wire::Quota::Request request) {
  if (request.bytes_limit == wire::Quota::kKeep || request.files_limit == wire::Quota::kKeep) {
    co_return fail(Errc::bad_message);
  }
  auto choosing = free_id();
  BFS_CO_TRY(id, co_await choosing);
  const QuotaLimits limits{id, request.bytes_limit, request.files_limit, wall_ns()};
  auto storing = store(limits);
  BFS_CO_CHECK(stored, co_await storing);
  auto& quota = quotas_[id];
  if (quota == nullptr) quota = std::make_unique<Quota>();
  quota->limits = limits;
  quota->known = true;  // nobody has anything of it
  co_return wire::Quota::Reply{id, 0, limits.bytes, limits.files, 0, 0};
}

/// One that was never given, or else one whose directory is gone, with everything that counted.
Task<Result<QuotaId>> QuotaAuthority::free_id() {
  if (quotas_.empty()) co_return QuotaId{1};
  const QuotaId last = quotas_.rbegin()->first;
  if (last < options_.id_max) co_return last + 1;
  for (QuotaId tried = 0; tried < options_.id_max; ++tried) {
    last_reused_ = last_reused_ % options_.id_max + 1;
    const QuotaId id = last_reused_;
    Quota* quota = find(id);
    if (quota == nullptr) co_return id;
    if (wall_ns() - quota->limits.made_ns < options_.young_ns) continue;
    auto asking = use(id);
    BFS_CO_TRY(sum, co_await asking);
    if (sum.bytes > 0 || sum.files > 0) continue;
    // Whatever a server still holds of it is called back before the new one begins.
    co_await quota->turn.acquire();
    const Turn turn(*quota);
    auto recalling = recall(quota, -1);
    BFS_CO_CHECK(recalled, co_await recalling);
    quota->known = true;
    co_return id;
  }
  co_return fail(Errc::no_space);
}

}  // namespace benchfs
