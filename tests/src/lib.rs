//! Tests of the whole: journeys in memory, the local cloud, and tidiness of the repository.
