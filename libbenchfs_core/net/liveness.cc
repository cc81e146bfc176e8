// A few workers walk one list of records. The host's process table is not asked: a pid of another
// container would mislead, and a dead process refuses a connection at once anyway.
#include "net/liveness.hpp"

#include "loop/sync.hpp"
#include "net/bootstrap_client.hpp"

namespace benchfs {
namespace {

constexpr std::size_t kAtOnce = 64;

struct Walk {
  std::vector<ServerRecord> records;
  std::vector<Sighting> sightings;
  std::size_t next = 0;
  Gate gate;
};

Task<void> walk_on(Loop& loop, Walk* walk, std::int64_t timeout_ms) {
  const Gate::Pass pass = walk->gate.enter();
  while (walk->next < walk->records.size()) {
    const std::size_t index = walk->next++;
    const Sighting sighting = co_await look_for(loop, walk->records[index], timeout_ms);
    walk->sightings[index] = sighting;
  }
}

}  // namespace

Task<Sighting> look_for(Loop& loop, ServerRecord record, std::int64_t timeout_ms) {
  Explained<bootstrap::Pong> pong =
      co_await bootstrap_ping(loop, record.bootstrap_host, record.bootstrap_port, timeout_ms);
  Sighting sighting;
  if (!pong) {
    if (pong.error().code == Errc::timed_out) sighting.liveness = Liveness::silent;
    co_return sighting;
  }
  if (record.instance != 0 && pong->instance != record.instance) co_return sighting;
  sighting.state = static_cast<bootstrap::State>(pong->state);
  sighting.cluster_id = pong->cluster_id;
  sighting.liveness =
      sighting.state == bootstrap::State::draining ? Liveness::draining : Liveness::alive;
  co_return sighting;
}

Task<std::vector<Sighting>> look_for_all(Loop& loop, std::vector<ServerRecord> records,
                                         std::int64_t timeout_ms) {
  Walk walk;
  walk.records = std::move(records);
  walk.sightings.resize(walk.records.size());
  for (std::size_t i = 0; i < std::min(kAtOnce, walk.records.size()); ++i) {
    walk_on(loop, &walk, timeout_ms).detach();
  }
  co_await walk.gate.drained();
  co_return std::move(walk.sightings);
}

}  // namespace benchfs
