"""What the tests share. Knows pytest and ringmill's public names; holds no test itself."""
