// What the session remembers of the namespace: entries of directories, which paths lead through,
// and attributes. Each for a limited time and in limited number, the one used longest ago first
// out. What is cached, and what never is: docs/adr/0014-small-files-and-caches.md. Private to
// client/.
#pragma once
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/types.hpp"
#include "wire/messages.hpp"

namespace benchfs {

/// Values that count for a time, at most `entries_max` of them. `View` finds a `Key` without making
/// one.
template <class Key, class View, class Value, class Hash, class Equal>
class TimedCache {
 public:
  TimedCache(std::int64_t ttl_ns, std::size_t entries_max)
      : ttl_ns_(ttl_ns), entries_max_(entries_max) {}
  bool enabled() const { return ttl_ns_ > 0 && entries_max_ > 0; }
  std::size_t size() const { return index_.size(); }

  /// Lives until the next call.
  const Value* find(const View& key, std::int64_t now_ns) {
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    const auto item = found->second;
    if (item->until_ns <= now_ns) {
      index_.erase(found);
      items_.erase(item);
      return nullptr;
    }
    items_.splice(items_.begin(), items_, item);
    return &item->value;
  }
  void put(const View& key, Value value, std::int64_t asked_ns) {
    if (!enabled()) return;
    forget(key);
    items_.push_front({Key(key), std::move(value), asked_ns + ttl_ns_});
    index_.emplace(items_.front().key, items_.begin());
    if (index_.size() <= entries_max_) return;
    index_.erase(items_.back().key);
    items_.pop_back();
  }
  void forget(const View& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return;
    const auto item = found->second;
    index_.erase(found);
    items_.erase(item);
  }
  void forget_all() {
    index_.clear();
    items_.clear();
  }

 private:
  struct Item {
    Key key;
    Value value;
    std::int64_t until_ns;
  };
  std::int64_t ttl_ns_;
  std::size_t entries_max_;
  std::list<Item> items_;  ///< used last at the front
  std::unordered_map<Key, typename std::list<Item>::iterator, Hash, Equal> index_;
};

/// Single-threaded, as the session is.
class EntryCache {
 public:
  struct Options {
    std::int64_t ttl_ns = 0;             ///< of entries; 0: none are kept
    std::int64_t attributes_ttl_ns = 0;  ///< of attributes; 0: none are kept
    std::size_t entries_max = 0;         ///< of each kind
  };
  struct Counts {
    std::uint64_t entry_hits = 0, entry_misses = 0;
    std::uint64_t attribute_hits = 0, attribute_misses = 0;
  };
  struct Entry {
    InodeId inode = 0;
    std::uint32_t type = 0;
  };
  /// Taken before a server is asked: from then on its answer counts. It is not kept if something
  /// was forgotten meanwhile: the server may have said it before that.
  struct Ticket {
    std::uint64_t forgotten;
    std::int64_t asked_ns;
  };

  explicit EntryCache(Options options);

  bool keeps_attributes() const { return attributes_.enabled(); }
  Ticket ticket() const;

  std::optional<Entry> find(InodeId parent, std::string_view name);
  void put(Ticket ticket, InodeId parent, std::string_view name, Entry entry);
  /// The entry, and the attributes of what it led to.
  void forget(InodeId parent, std::string_view name);

  std::optional<wire::Attributes> find(InodeId inode);
  void put(Ticket ticket, const wire::Attributes& attributes);
  /// The attributes.
  void forget(InodeId inode) {
    ++forgotten_;
    attributes_.forget(inode);
  }

  void forget_all();
  const Counts& counts() const { return counts_; }
  std::size_t entries() const { return entries_.size(); }
  std::size_t attributes() const { return attributes_.size(); }

 private:
  struct NameView {
    InodeId parent;
    std::string_view name;
  };
  struct Name {
    explicit Name(const NameView& view) : parent(view.parent), name(view.name) {}
    operator NameView() const { return {parent, name}; }  // NOLINT: implicit
    InodeId parent;
    std::string name;
  };
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(const NameView& view) const {
      return std::hash<std::string_view>()(view.name) ^
             static_cast<std::size_t>(view.parent * 0x9E3779B97F4A7C15ull);
    }
  };
  struct NameEqual {
    using is_transparent = void;
    bool operator()(const NameView& left, const NameView& right) const {
      return left.parent == right.parent && left.name == right.name;
    }
  };

  TimedCache<Name, NameView, Entry, NameHash, NameEqual> entries_;
  TimedCache<InodeId, InodeId, wire::Attributes, std::hash<InodeId>, std::equal_to<>> attributes_;
  std::uint64_t forgotten_ = 0;  ///< how many times
  Counts counts_;
};

}  // namespace benchfs
