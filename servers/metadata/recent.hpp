// Records of the metadata that were changed lately, in memory. They are found by their keys, and
// listed in the order of their keys within a group: the entries of one directory, the attributes of
// one inode, the records of the system. What was removed stays as a mark, as RocksDB below may
// still have it.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace benchfs {

/// The column families of the metadata store.
enum class Family : std::uint8_t { dentry, inode, system };
inline constexpr std::size_t kFamilies = 3;

/// One thread changes and lists it; once it is not changed any more another may read records().
class Recent {
 public:
  /// unknown: as if there were no record here.
  enum class State : std::uint8_t { unknown, present, removed };
  struct Record {
    Record* next;  ///< of the same bucket
    std::uint64_t hash;
    const char* value_at;
    std::uint32_t value_bytes;
    std::uint16_t key_bytes;
    Family family;
    State state;

    std::string_view key() const { return {reinterpret_cast<const char*>(this + 1), key_bytes}; }
    std::string_view value() const { return {value_at, value_bytes}; }
  };

  Recent();
  Recent(const Recent&) = delete;
  Recent& operator=(const Recent&) = delete;

  static std::uint64_t hash_of(Family family, std::string_view key);
  /// nullptr: there is none.
  Record* find(Family family, std::string_view key, std::uint64_t hash) const;
  /// The record of that key; a new one is unknown.
  Record& at(Family family, std::string_view key, std::uint64_t hash);
  /// The value is copied; the old one stays in memory, for whoever wants to put it back.
  void set(Record& record, State state, std::string_view value);
  /// Those of the group of `first` whose keys are not before it, in order. Valid until the next
  /// at().
  std::span<Record* const> from(Family family, std::string_view first);
  /// In the order in which they came.
  const std::vector<Record*>& records() const { return records_; }

 private:
  struct Group {
    std::vector<Record*> sorted, added;
  };
  using Groups = std::unordered_map<std::uint64_t, Group>;

  char* take(std::size_t bytes);
  void grow();

  std::vector<Record*> buckets_;
  std::vector<Record*> records_;
  std::array<Groups, kFamilies> groups_;
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* free_ = nullptr;  ///< in the last block
  std::size_t left_ = 0;
};

}  // namespace benchfs
