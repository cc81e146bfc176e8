// The session's memory of entries and attributes, and its counts.
#include "client/entry_cache.hpp"

#include "base/clock.hpp"

namespace benchfs {

EntryCache::EntryCache(Options options)
    : entries_(options.ttl_ns, options.entries_max),
      attributes_(options.attributes_ttl_ns, options.entries_max) {}

EntryCache::Ticket EntryCache::ticket() const {
  return {forgotten_, entries_.enabled() || attributes_.enabled() ? coarse_now_ns() : 0};
}

std::optional<EntryCache::Entry> EntryCache::find(InodeId parent, std::string_view name) {
  if (!entries_.enabled()) return std::nullopt;
  const Entry* found = entries_.find({parent, name}, coarse_now_ns());
  ++(found != nullptr ? counts_.entry_hits : counts_.entry_misses);
  if (found == nullptr) return std::nullopt;
  return *found;
}

void EntryCache::put(Ticket ticket, InodeId parent, std::string_view name, Entry entry) {
  if (ticket.forgotten == forgotten_) entries_.put({parent, name}, entry, ticket.asked_ns);
}

void EntryCache::forget(InodeId parent, std::string_view name) {
  ++forgotten_;
  const Entry* found = entries_.find({parent, name}, 0);
  if (found != nullptr) {
    attributes_.forget(found->inode);
    entries_.forget({parent, name});
  } else {
    attributes_.forget_all();  // of which inode it was is not known
  }
}

std::optional<wire::Attributes> EntryCache::find(InodeId inode) {
  if (!attributes_.enabled()) return std::nullopt;
  const wire::Attributes* found = attributes_.find(inode, coarse_now_ns());
  ++(found != nullptr ? counts_.attribute_hits : counts_.attribute_misses);
  if (found == nullptr) return std::nullopt;
  return *found;
}

void EntryCache::put(Ticket ticket, const wire::Attributes& attributes) {
  if (ticket.forgotten == forgotten_) {
    attributes_.put(attributes.inode, attributes, ticket.asked_ns);
  }
}

void EntryCache::forget_all() {
  ++forgotten_;
  entries_.forget_all();
  attributes_.forget_all();
}

}  // namespace benchfs
