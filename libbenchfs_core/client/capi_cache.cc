// The C interface: what a session remembers.
#include "client/capi.hpp"

using namespace benchfs;
using namespace benchfs::capi;

int benchfs_cache_drop(benchfs_t* fs) {
  return guarded([&]() -> int {
    const Client::Lock lock(client_of(fs));
    client_of(fs).forget_all();
    return 0;
  });
}

int benchfs_cache_stats(benchfs_t* fs, struct benchfs_cache_stats* stats) {
  return guarded([&]() -> int {
    const Client::Lock lock(client_of(fs));
    const EntryCache& cache = client_of(fs).cache();
    const EntryCache::Counts& counts = cache.counts();
    *stats = {};
    stats->entry_hits = counts.entry_hits;
    stats->entry_misses = counts.entry_misses;
    stats->attribute_hits = counts.attribute_hits;
    stats->attribute_misses = counts.attribute_misses;
    stats->entries = cache.entries();
    stats->attributes = cache.attributes();
    return 0;
  });
}
